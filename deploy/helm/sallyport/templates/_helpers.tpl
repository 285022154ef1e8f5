{{- define "sallyport.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else if contains (include "sallyport.name" .) .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "sallyport.name" .) | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "sallyport.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{- define "sallyport.selector" -}}
app.kubernetes.io/name: {{ include "sallyport.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: gateway
{{- end -}}

{{- /* Labels of everything but pods. Parameter: the root, and the component. */ -}}
{{- define "sallyport.labels" -}}
app.kubernetes.io/name: {{ include "sallyport.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component | default "gateway" }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "sallyport.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "sallyport.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "sallyport.image" -}}
{{- $repository := required "image.repository: name the image that you built and pushed" .Values.image.repository -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" $repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" $repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end -}}

{{- /* Processes of a pod: one, or with workers these and the primary. */ -}}
{{- define "sallyport.processes" -}}
{{- $workers := .Values.config.workers | default 1 | toString -}}
{{- if eq $workers "auto" -}}
{{- fail "config.workers: auto counts the cores of the node, so that nothing says how much memory a process may have; give the number, or leave it out and run more pods" -}}
{{- end -}}
{{- ternary 1 (add1 (int $workers)) (eq (int $workers) 1) -}}
{{- end -}}

{{- /* V8's heap of each process, in MiB: three quarters of the memory limit, divided. */ -}}
{{- define "sallyport.heapMiB" -}}
{{- $limit := toString .Values.resources.limits.memory -}}
{{- if not (regexMatch "^[0-9]+[MG]i$" $limit) -}}
{{- fail (printf "resources.limits.memory: %s must be a whole number of Mi or Gi, such as 512Mi: V8's heap is made from it" $limit) -}}
{{- end -}}
{{- $number := regexFind "^[0-9]+" $limit | int -}}
{{- $mib := ternary (mul $number 1024) $number (hasSuffix "Gi" $limit) -}}
{{- div (mul $mib 3) (mul 4 (include "sallyport.processes" . | int)) -}}
{{- end -}}

{{- /* Seconds of a duration of the configuration, rounded up. Parameter: the duration, and its default. */ -}}
{{- define "sallyport.seconds" -}}
{{- $text := toString (.value | default .default) -}}
{{- $number := regexFind "^[0-9]+" $text | int -}}
{{- $unit := regexReplaceAll "^[0-9]+" $text "" -}}
{{- $milliseconds := get (dict "ms" 1 "s" 1000 "m" 60000 "h" 3600000 "d" 86400000) $unit -}}
{{- if not $milliseconds -}}
{{- fail (printf "config.timeouts: %s must be a duration, such as 30s" $text) -}}
{{- end -}}
{{- div (add (mul $number $milliseconds) 999) 1000 -}}
{{- end -}}

{{- define "sallyport.gracePeriodSeconds" -}}
{{- $timeouts := .Values.config.timeouts | default dict -}}
{{- $delay := include "sallyport.seconds" (dict "value" $timeouts.drain_delay "default" "0s") | int -}}
{{- $drain := include "sallyport.seconds" (dict "value" $timeouts.drain "default" "30s") | int -}}
{{- add .Values.shutdown.preStopSeconds $delay $drain .Values.shutdown.graceSeconds -}}
{{- end -}}

{{- define "sallyport.adminScheme" -}}
{{- ternary "HTTPS" "HTTP" (not (empty .Values.config.admin.tls)) -}}
{{- end -}}

{{- define "sallyport.secretName" -}}
{{- if .Values.secrets.values -}}
{{- printf "%s-files" (include "sallyport.fullname" .) -}}
{{- else -}}
{{- .Values.secrets.existingSecret -}}
{{- end -}}
{{- end -}}

{{- /* The configuration with all files that it names, as /etc/sallyport has them. */ -}}
{{- define "sallyport.configurationVolume" -}}
{{- $config := toJson .Values.config -}}
name: configuration
projected:
  defaultMode: 288 # 0440
  sources:
    - configMap: { name: {{ include "sallyport.fullname" . }} }
    {{- with include "sallyport.secretName" . }}
    - secret: { name: {{ . }} }
    {{- end }}
    {{- range $folder, $secret := .Values.secretFolders }}
    {{- $files := regexFindAll (printf "\"%s/[^\"/]+\"" (regexQuoteMeta $folder)) $config -1 | uniq | sortAlpha }}
    {{- if and $secret $files }}
    - secret:
        name: {{ $secret }}
        items:
          {{- range $files }}
          {{- $path := trimAll "\"" . }}
          - { key: {{ base $path }}, path: {{ $path }} }
          {{- end }}
    {{- end }}
    {{- end }}
{{- range regexFindAll "_file\":\"[^\"/$]+/" $config -1 | uniq }}
{{- $folder := regexReplaceAll "^_file\":\"|/$" . "" }}
{{- if not (get $.Values.secretFolders $folder) }}
{{- fail (printf "config names a file in the folder %s, which no Secret fills; add it to secretFolders, as %s: NAME OF A SECRET" $folder $folder) }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "sallyport.container" -}}
image: {{ include "sallyport.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
env:
  - { name: NODE_OPTIONS, value: --max-old-space-size={{ include "sallyport.heapMiB" . }} } # MiB
  {{- with .Values.env }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: { drop: [ALL] }
{{- end -}}
