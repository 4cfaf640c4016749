{{- /* The settings as variables: extraArgs, which are flags, decide over them. */}}
{{- define "hydra-operator.env" -}}
{{- $values := .Values }}
{{- $mounts := "/etc/hydra-operator" }}
- name: POD_NAMESPACE
  valueFrom:
    fieldRef:
      fieldPath: metadata.namespace
{{- $settings := list
  (list "HYDRA_ADMIN_URL" $values.hydra.adminUrl)
  (list "HYDRA_PUBLIC_URL" $values.hydra.publicUrl)
  (list "HYDRA_CA_FILE" (ternary (printf "%s/ca/ca.crt" $mounts) "" (not (empty (or $values.hydra.ca.configMap $values.hydra.ca.secret)))))
  (list "HYDRA_CLIENT_CERT_FILE" (ternary (printf "%s/client-certificate/tls.crt" $mounts) "" (not (empty $values.hydra.clientCertificate.secret))))
  (list "HYDRA_CLIENT_KEY_FILE" (ternary (printf "%s/client-certificate/tls.key" $mounts) "" (not (empty $values.hydra.clientCertificate.secret))))
  (list "HYDRA_HEADERS_FILE" (ternary (printf "%s/headers/headers" $mounts) "" (not (empty $values.hydra.headers.secret))))
  (list "HYDRA_FORWARDED_PROTO" $values.hydra.forwardedProto)
  (list "HYDRA_REQUEST_TIMEOUT" $values.hydra.requestTimeout)
  (list "ALLOW_RESOURCE_HYDRA_ADMIN" (join "," $values.hydra.allowedForResources))
  (list "WATCH_NAMESPACE" (join "," $values.namespaces))
  (list "SECRET_NAMESPACES" (join "," $values.rbac.secretNamespaces))
  (list "OBSERVE" (ternary "true" "" $values.observe))
  (list "RESYNC_INTERVAL" $values.resyncInterval)
  (list "CONCURRENCY" $values.concurrency)
  (list "REMOVE_DUPLICATE_CLIENTS" (ternary "true" "" $values.removeDuplicateClients))
  (list "CLIENT_ID_KEY" $values.secretKeys.clientId)
  (list "CLIENT_SECRET_KEY" $values.secretKeys.clientSecret)
  (list "ALLOW_KEY_SET_NAMES" (join "," $values.keySets.allowNames))
  (list "SYSTEM_KEY_SETS_FROM" (join "," $values.keySets.systemFrom))
  (list "ADOPT_KEY_SETS" (ternary "true" "" $values.keySets.adopt))
  (list "ADMIN_LISTEN" (printf "%s:%d" $values.listen.address (int $values.listen.port)))
  (list "LOG_FORMAT" $values.log.format)
  (list "LOG_LEVEL" $values.log.level)
  (list "LOG_LEVEL_FILE" (ternary (printf "%s/log/level" $mounts) "" (not (empty $values.log.levelFrom.configMap))))
  (list "OTEL_EXPORTER_OTLP_ENDPOINT" $values.tracing.otlpEndpoint)
  (list "RESOURCE_METRICS" (ternary "true" "" $values.metrics.resources))
}}
{{- if include "hydra-operator.elects" . }}
{{- $settings = concat $settings (list
  (list "LEADER_ELECT" "true")
  (list "LEADER_ELECTION_ID" (include "hydra-operator.lease" .))
  (list "LEADER_ELECTION_LEASE_DURATION" $values.leaderElection.leaseDuration)
  (list "LEADER_ELECTION_RENEW_DEADLINE" $values.leaderElection.renewDeadline)
  (list "LEADER_ELECTION_RETRY_PERIOD" $values.leaderElection.retryPeriod)
) }}
{{- end }}
{{- range $setting := $settings }}
{{- with last $setting }}
- name: {{ first $setting }}
  value: {{ toString . | quote }}
{{- end }}
{{- end }}
{{- end }}
