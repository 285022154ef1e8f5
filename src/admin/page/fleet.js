/** The part "Gateways" of the page: it remembers since when a gateway differs, and what was last known of the others. */
import { canaryTile } from './canary.js';
import { byId, clockText } from './dom.js';
import { fleetTile, gatewayTiles, hasOtherConfiguration } from './gateways.js';
import { lowerFirst, tile } from './health.js';

const MOST_TILES = 24;
const MOST_FINDINGS = 3;

/**
 * @typedef {import('./gateways.js').FleetReport} FleetReport
 * @typedef {import('./health.js').Tile} Tile
 * @typedef {import('./health.js').Finding} Finding
 */

export class Fleet {
  /** What was last said of all of them, and when. */
  #known = { tiles: /** @type {Tile[]} */ ([]), atSeconds: 0 };
  /** What is shown: the tile of all, and of each. */
  #shown = /** @type {Tile[]} */ ([]);
  #canary = /** @type {import('./canary.js').CanaryTile | undefined} */ (undefined);
  /** By id of the gateway and both hashes: when the page first saw them differ. */
  #differs = /** @type {Map<string, number>} */ (new Map());
  /** The label of this gateway, where it is not the only one. */
  #label = /** @type {string | undefined} */ (undefined);
  #count = 1;

  /** How this gateway is called on the page. @param {string} name as configured */
  labelOf(name) {
    return this.#label ?? name;
  }

  /** Of gateways beside this one, for a sentence that says that all is well. */
  get othersText() {
    return this.#count > 1 ? `, and all ${this.#count} gateways are ready` : '';
  }

  /**
   * @param {FleetReport | undefined} report undefined: this gateway knows of no fleet
   * @param {number} maxViewAgeSeconds
   * @param {number} [nowSeconds] since 1970
   * @returns {Finding[]} what is wrong with the others: what is wrong with this one, its own tiles say
   */
  show(report, maxViewAgeSeconds, nowSeconds = Date.now() / 1000) {
    byId('gateways-part').hidden = report === undefined;
    if (!report) return [];
    const { complete, gateways } = report;
    this.#count = gateways.length;
    this.#label = gateways.length > 1 ? gateways[0]?.name : undefined;
    const tiles = gatewayTiles(report, {
      nowSeconds,
      maxViewAgeSeconds,
      differsSince: this.#differences(report, nowSeconds),
    });
    if (complete) this.#known = { tiles, atSeconds: nowSeconds };
    this.#shown = [fleetTile(report, tiles), ...tiles];
    this.#canary = canaryTile(report, nowSeconds);
    this.#draw();
    showScope(complete ? scopeText(gateways.length) : 'this gateway; others are not known');
    return complete
      ? [...findingsOf(tiles.slice(1)), ...this.#canaryFinding]
      : [{ level: 'bad', words: 'gateways: others not known' }];
  }

  /** @param {string} asOf when this gateway was last heard: it is gone */
  showOld(asOf) {
    const [all, ...each] = this.#shown;
    if (all === undefined) return;
    byId('gateways').replaceChildren(
      tile(all, asOf),
      ...this.#canaryItem(asOf),
      ...each.map((content) => tile(content, asOf)),
    );
  }

  /** @param {string} [asOf] */
  #canaryItem(asOf) {
    return this.#canary ? [tile(this.#canary.tile, this.#canary.asOf ?? asOf)] : [];
  }

  /** @returns {Finding[]} */
  get #canaryFinding() {
    if (!this.#canary || this.#canary.asOf !== undefined) return [];
    const { level, state } = this.#canary.tile;
    return level === 'good' ? [] : [{ level, words: `the last canary: ${state}` }];
  }

  /** The others that cannot be seen now are shown as they were. */
  #draw() {
    const [all, ...each] = this.#shown;
    if (all === undefined) return;
    // This one first, then what is wrong.
    const ordered = [...each.slice(0, 1), ...each.slice(1).toSorted(wrongFirst)];
    const names = new Set(each.map(({ title }) => title));
    const gone = this.#known.tiles.slice(1).filter(({ title }) => !names.has(title));
    const isCutOff = each.length < 2 && all.level === 'bad';
    const items = [
      ...ordered.map((content) => tile(content)),
      ...(isCutOff ? gone.map((content) => tile(content, clockText(this.#known.atSeconds))) : []),
    ];
    byId('gateways').replaceChildren(tile(all), ...this.#canaryItem(), ...items.slice(0, MOST_TILES));
    const left = items.length - MOST_TILES;
    byId('gateways-rest').textContent = left > 0 ? `${left} more gateways are not shown.` : '';
  }

  /**
   * @param {FleetReport} report
   * @param {number} nowSeconds
   */
  #differences({ gateways }, nowSeconds) {
    const [own] = gateways;
    const keyOf = (/** @type {import('./gateways.js').Gateway} */ { id, config_hash }) =>
      `${id} ${config_hash} ${own?.config_hash}`;
    const differing = gateways.filter((gateway) => own && hasOtherConfiguration(gateway, own));
    this.#differs = new Map(
      differing.map((gateway) => [keyOf(gateway), this.#differs.get(keyOf(gateway)) ?? nowSeconds]),
    );
    return (/** @type {import('./gateways.js').Gateway} */ gateway) => this.#differs.get(keyOf(gateway));
  }
}

/** @param {number} count */
function scopeText(count) {
  return count > 1 ? `all ${count} gateways` : 'this gateway';
}

/** Beside figures that are of all gateways that share the store. @param {string} text */
function showScope(text) {
  for (const place of document.querySelectorAll('.fleet-scope')) place.textContent = `(${text})`;
}

/**
 * @param {Tile} one
 * @param {Tile} other
 */
function wrongFirst(one, other) {
  const order = ['bad', 'warn', 'good'];
  return order.indexOf(one.level) - order.indexOf(other.level);
}

/**
 * @param {Tile[]} tiles
 * @returns {Finding[]}
 */
function findingsOf(tiles) {
  const findings = tiles
    .toSorted(wrongFirst)
    .flatMap(
      ({ title, level, state }) =>
        /** @type {Finding[]} */ (
          level === 'good' ? [] : [{ level, words: `gateway ${title}: ${lowerFirst(state)}` }]
        ),
    );
  const left = findings.length - MOST_FINDINGS;
  return left > 0
    ? [...findings.slice(0, MOST_FINDINGS), { level: 'warn', words: `${left} more gateways` }]
    : findings;
}
