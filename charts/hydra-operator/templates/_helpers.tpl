{{- define "hydra-operator.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "hydra-operator.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- $name := include "hydra-operator.name" . }}
{{- if contains $name .Release.Name }}
{{- .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" }}
{{- end }}
{{- end }}
{{- end }}

{{- define "hydra-operator.namespace" -}}
{{- default .Release.Namespace .Values.namespaceOverride }}
{{- end }}

{{- define "hydra-operator.leaseNamespace" -}}
{{- default (include "hydra-operator.namespace" .) .Values.leaderElection.namespace }}
{{- end }}

{{- define "hydra-operator.serviceAccountName" -}}
{{- $default := ternary (include "hydra-operator.fullname" .) "default" .Values.serviceAccount.create }}
{{- default $default .Values.serviceAccount.name }}
{{- end }}

{{- define "hydra-operator.selectorLabels" -}}
app.kubernetes.io/name: {{ include "hydra-operator.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "hydra-operator.labels" -}}
{{ include "hydra-operator.selectorLabels" . }}
{{- if .Chart.AppVersion }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
{{- end }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "hydra-operator.image" -}}
{{- if .Values.image.digest }}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest }}
{{- else }}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) }}
{{- end }}
{{- end }}

{{- /* Whether a leader is elected: with `observe` nothing is written, so there is nothing to lead. */}}
{{- define "hydra-operator.elects" -}}
{{- if and .Values.leaderElection.enabled (not .Values.observe) }}true{{ end }}
{{- end }}

{{- define "hydra-operator.lease" -}}
{{- default (include "hydra-operator.fullname" .) .Values.leaderElection.id }}
{{- end }}

{{- define "hydra-operator.rules" -}}
{{- $file := ternary "files/rbac/observe.yaml" "files/rbac/operator.yaml" .Values.observe }}
{{- .Files.Get $file | trim | nindent 2 }}
{{- end }}

{{- define "hydra-operator.secretRules" -}}
{{- $file := ternary "files/rbac/observe-secrets.yaml" "files/rbac/operator-secrets.yaml" .Values.observe }}
{{- .Files.Get $file | trim | nindent 2 }}
{{- end }}

{{- define "hydra-operator.subjects" -}}
- kind: ServiceAccount
  name: {{ include "hydra-operator.serviceAccountName" . }}
  namespace: {{ include "hydra-operator.namespace" . }}
{{- end }}

{{- /* The ports of all Hydras that the operator may call, and of the collector of traces, distinct, as a JSON list. */}}
{{- define "hydra-operator.hydraPorts" -}}
{{- $ports := list }}
{{- range concat (list .Values.hydra.adminUrl .Values.hydra.publicUrl .Values.tracing.otlpEndpoint) .Values.hydra.allowedForResources | compact }}
{{- $url := urlParse . }}
{{- $port := regexFind ":[0-9]+$" $url.host | trimPrefix ":" }}
{{- $ports = append $ports (int (default (ternary "443" "80" (eq $url.scheme "https")) $port)) }}
{{- end }}
{{- $ports | uniq | toJson }}
{{- end }}

{{- /* What the schema cannot say. */}}
{{- define "hydra-operator.check" -}}
{{- $values := .Values }}
{{- $_ := required "hydra.adminUrl is required: the base URL of Hydra's admin API, as http://hydra-admin.hydra:4445" $values.hydra.adminUrl }}
{{- if and (gt (int $values.replicaCount) 1) (not $values.leaderElection.enabled) (not $values.observe) }}
{{- fail "replicaCount above 1 needs leaderElection.enabled: two operators would work against each other" }}
{{- end }}
{{- if and $values.namespaces $values.rbac.secretNamespaces }}
{{- fail "namespaces and rbac.secretNamespaces exclude each other: the operator uses the Secrets of the namespaces that it watches" }}
{{- end }}
{{- if and $values.hydra.ca.configMap $values.hydra.ca.secret }}
{{- fail "hydra.ca.configMap and hydra.ca.secret exclude each other" }}
{{- end }}
{{- end }}
