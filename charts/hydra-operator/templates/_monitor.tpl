{{- /* What ServiceMonitor and PodMonitor have in common; given: a dict with root and values. */}}
{{- define "hydra-operator.monitor.metadata" -}}
metadata:
  name: {{ include "hydra-operator.fullname" .root }}
  namespace: {{ default (include "hydra-operator.namespace" .root) .values.namespace }}
  labels:
    {{- include "hydra-operator.labels" .root | nindent 4 }}
    {{- with .values.labels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end }}

{{- define "hydra-operator.monitor.endpoint" -}}
- port: http
  path: /metrics
  {{- with .interval }}
  interval: {{ . }}
  {{- end }}
  {{- with .scrapeTimeout }}
  scrapeTimeout: {{ . }}
  {{- end }}
  {{- if .honorLabels }}
  honorLabels: true
  {{- end }}
  {{- with .relabelings }}
  relabelings:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .metricRelabelings }}
  metricRelabelings:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
