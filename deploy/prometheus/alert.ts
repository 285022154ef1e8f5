/** One alert, as its author writes it. rules.ts adds the links, which follow from its name and its panel. */
export interface Alert {
  readonly name: string;
  /** `page` is for a person now, `ticket` for one in the morning. */
  readonly severity: 'page' | 'ticket';
  readonly expr: string;
  /** How long it must hold; undefined: once is enough. */
  readonly for?: string;
  /** Prometheus' template. Names the route where the expression knows one. */
  readonly summary: string;
  readonly description?: string;
  /** The board and the title of the panel that shows the same query: deploy/grafana. */
  readonly panel: readonly [board: 'overview' | 'authentication' | 'revocation' | 'upstreams', title: string];
}

/** The routes that a query finds, with commas between them, inside a summary. `%q` stands for the labels, in turn. */
export function routesOf(query: string, ...labels: readonly string[]): string {
  const values = labels.map((label) => ` $labels.${label}`).join('');
  const quoted = query.replaceAll('\\', '\\\\').replaceAll('"', '\\"');
  return `{{ range $at, $found := printf "${quoted}"${values} | query }}{{ if $at }}, {{ end }}{{ $found.Labels.route }}{{ end }}`;
}
