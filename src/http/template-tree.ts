/**
 * Values by path template, for look-up: exact templates, and prefixes of whole segments. A literal segment goes before a
 * variable, the leftmost difference counts first, and a longer prefix goes before a shorter. Pure.
 */
import { segmentsOf, type PathTemplate } from './path-template.ts';

class Node<T> {
  readonly literals = new Map<string, Node<T>>();
  variable: Node<T> | undefined;
  readonly exact: T[] = [];
  readonly prefix: T[] = [];
}

/** Takes one of the values at a place, or none of them. */
type Choose<T> = (values: readonly T[]) => T | undefined;

export interface FoundPrefix<T> {
  readonly value: T;
  /** How many segments the prefix has. */
  readonly depth: number;
}

export class TemplateTree<T> {
  readonly #root = new Node<T>();
  #depth = 0;

  /** The values at a template, to be added to. */
  valuesAt({ segments }: PathTemplate, kind: 'exact' | 'prefix'): T[] {
    let node = this.#root;
    for (const segment of segments) {
      if ('variable' in segment) {
        node = node.variable ??= new Node<T>();
      } else {
        const next = node.literals.get(segment.literal) ?? new Node<T>();
        node.literals.set(segment.literal, next);
        node = next;
      }
    }
    this.#depth = Math.max(this.#depth, segments.length);
    return node[kind];
  }

  findExact(path: string, choose: Choose<T>): T | undefined {
    const segments = segmentsOf(path, this.#depth + 1);
    return segments.length > this.#depth ? undefined : exactBelow(this.#root, segments, 0, choose);
  }

  findPrefix(path: string, choose: Choose<T>): FoundPrefix<T> | undefined {
    return prefixBelow(this.#root, segmentsOf(path, this.#depth), 0, choose);
  }
}

// Both look at each node of the tree at most once: what a path costs is bounded by the configuration.

function exactBelow<T>(
  node: Node<T>,
  segments: readonly string[],
  at: number,
  choose: Choose<T>,
): T | undefined {
  const segment = segments[at];
  if (segment === undefined) return choose(node.exact);
  const literal = node.literals.get(segment);
  const found = literal && exactBelow(literal, segments, at + 1, choose);
  if (found !== undefined || segment === '' || !node.variable) return found;
  return exactBelow(node.variable, segments, at + 1, choose);
}

function prefixBelow<T>(
  node: Node<T>,
  segments: readonly string[],
  at: number,
  choose: Choose<T>,
): FoundPrefix<T> | undefined {
  const value = choose(node.prefix);
  let best: FoundPrefix<T> | undefined = value === undefined ? undefined : { value, depth: at };
  const segment = segments[at];
  if (segment === undefined) return best;
  for (const child of [node.literals.get(segment), segment === '' ? undefined : node.variable]) {
    const found = child && prefixBelow(child, segments, at + 1, choose);
    if (found && found.depth > (best?.depth ?? -1)) best = found;
  }
  return best;
}
