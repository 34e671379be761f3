{{/* What everything of the operator is called. */}}
{{- define "reflector-operator.fullname" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* What the Deployment selects by: frozen, because a selector cannot be changed. */}}
{{- define "reflector-operator.selector" -}}
app.kubernetes.io/name: reflector-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/* Labels of objects that are not a part of the operator's own pod. */}}
{{- define "reflector-operator.common" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: packetparamedic
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{- define "reflector-operator.labels" -}}
{{ include "reflector-operator.selector" . }}
app.kubernetes.io/component: operator
{{ include "reflector-operator.common" . }}
{{- end -}}

{{/* Labels of the objects that Prometheus is to find. */}}
{{- define "reflector-operator.monitoringLabels" -}}
{{ include "reflector-operator.labels" . }}
{{- with .Values.monitoring.additionalLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "reflector-operator.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}

{{- define "reflector-operator.reflectorImage" -}}
{{ .Values.reflector.image.repository }}:{{ .Values.reflector.image.tag | default .Chart.AppVersion }}
{{- end -}}

{{/* What would install and then not work. */}}
{{- define "reflector-operator.check" -}}
{{- if and (gt (int .Values.replicas) 1) (not .Values.leaderElection.enabled) -}}
{{- fail "replicas is more than 1: set leaderElection.enabled=true, or the operators would undo each other's work" -}}
{{- end -}}
{{- if hasPrefix "rfl-" (include "reflector-operator.fullname" .) -}}
{{- fail "the release's name begins with rfl-, as the accounts of reflectors do: choose another" -}}
{{- end -}}
{{- end -}}
