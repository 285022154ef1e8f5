/**
 * The gateways that share one revocation store: each puts a heartbeat up there, and one may ask all others. A question goes
 * through the log, which brings it at once and behind every revocation before it; the replies come in a box. Rule V7.
 *
 * A gateway that is cut off from the store does not reply, and is named as silent.
 */
import { randomUUID } from 'node:crypto';
import type { Clock } from '../clock.ts';
import { pause } from '../revocation/abortable-delay.ts';
import type { FleetBoard } from '../revocation/fleet-board.ts';
import type { RevocationStore } from '../revocation/revocation-store.ts';
import type { RevocationView } from '../revocation/revocation-view.ts';
import { describeError, type Logger } from '../telemetry/logger.ts';
import { labelled, labelOf, LIVE_MS, type FleetMember } from './fleet-member.ts';
import {
  parseAsking,
  parseQuestion,
  parseReply,
  parseReplying,
  parseReport,
  type AskedFor,
  type GatewayReport,
  type Question,
  type Replies,
} from './fleet-messages.ts';

const BEAT_MS = 5_000;
/** How soon others learn that a gateway is ready or is not any more, and whether it refuses a canary. */
const LOOK_MS = 250;
/** How long the others may take to reply. */
const REPLY_MS = 2_000;
/** Replies are looked for often at first, when most come. */
const FIRST_POLLS = 20;
const FIRST_POLL_MS = 5;
const POLL_MS = 25;
/** A longer question is not put into the log. */
const MAX_ANNOUNCED_CHARACTERS = 1_000;
/** Questions that name no person. */
const NAMELESS: ReadonlySet<Question['about']> = new Set(['marks', 'canary']);

/** What this gateway says to a question. */
export type Responder = <A extends Question['about']>(question: AskedFor<A>) => Promise<Replies[A]>;

export interface FleetParts {
  readonly store: RevocationStore;
  readonly view: RevocationView;
  readonly report: () => GatewayReport;
  readonly respond: Responder;
  /** What it does as one of the fleet, until the signal is aborted. */
  readonly task?: (signal: AbortSignal) => Promise<void>;
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface FleetList {
  /** This one first, then by label. */
  readonly members: readonly FleetMember[];
  /** False: the store is unavailable, or has lost who there is. */
  readonly isComplete: boolean;
}

/** The replies to a question to all others. */
export interface Asked<T> {
  /** The label of this gateway. */
  readonly self: string;
  /** Labels of the others that were asked, and of those that were known before, where the store does not say who there is. */
  readonly others: readonly string[];
  /** Those of them that did not reply. */
  readonly silent: readonly string[];
  readonly isComplete: boolean;
  readonly replies: readonly { readonly label: string; readonly afterMs: number; readonly reply: T }[];
}

export class Fleet {
  readonly #parts: FleetParts;
  readonly #board: FleetBoard | undefined;
  readonly #id = randomUUID();
  readonly #stopping = new AbortController();
  #beating: Promise<unknown> | undefined;
  #label: string | undefined;
  /** The store has had its heartbeat. */
  #hasBeaten = false;
  /** As they were last known, and when. */
  #known: { readonly members: readonly FleetMember[]; readonly atMs: number } | undefined;
  #processes: number | undefined;

  constructor(parts: FleetParts) {
    this.#parts = parts;
    this.#board = parts.store.board;
    parts.view.on('announced', (text) => void this.#heard(text));
  }

  /** Begins to say that it lives. */
  start(): void {
    this.#beating ??= Promise.all([this.#beat(), this.#parts.task?.(this.#stopping.signal)]);
  }

  /** Takes its heartbeat down. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    // A store that is lost forgets the heartbeat by itself, and must not hold up the end.
    if (!this.#parts.view.connected) return;
    await this.#beating;
    await this.#board?.leave(this.#id).catch(() => undefined);
  }

  /** This gateway's, as the others call it. */
  get label(): string {
    return this.#label ?? labelOf(this.#parts.report());
  }

  /** Processes that serve, of all gateways that live: as many as were last known, this one's own before that. */
  get processes(): number {
    return this.#processes ?? this.#parts.report().workers;
  }

  /**
   * Is this the one gateway that calls this transmitter: of those that live and could, the one that started first? A gateway that does
   * not know the others (any more) does not. For some seconds after one has started or vanished, two may, or none.
   */
  calls(transmitter: string): boolean {
    const { members, atMs } = this.#known ?? { members: [], atMs: -Infinity };
    if (this.#parts.clock.monotonicMs() - atMs > LIVE_MS) return false;
    const [first] = members
      .filter(({ isLive, report }) => isLive && report.transmitters?.includes(transmitter) === true)
      .sort((one, other) => one.report.started_at - other.report.started_at || (one.id < other.id ? -1 : 1));
    return first?.isThis === true;
  }

  async list(): Promise<FleetList> {
    const own = { id: this.#id, ageMs: 0, report: this.#parts.report() };
    let others: { id: string; ageMs: number; report: GatewayReport }[] = [];
    let isComplete = false;
    try {
      const beats = (await this.#board?.heartbeats()) ?? [];
      // A store that has lost this heartbeat has lost those of others, too.
      isComplete = !this.#hasBeaten || beats.some(({ id }) => id === this.#id);
      others = beats.flatMap(({ id, text, ageMs }) => {
        const report = id === this.#id ? undefined : parseReport(text);
        return report ? [{ id, ageMs, report }] : [];
      });
    } catch {
      // Who there is cannot be known now.
    }
    const members = labelled([own, ...others], this.#id);
    this.#label = members[0]?.label;
    if (isComplete) this.#known = { members, atMs: this.#parts.clock.monotonicMs() };
    if (isComplete)
      this.#processes = members.reduce((sum, { isLive, report }) => sum + (isLive ? report.workers : 0), 0);
    return { members, isComplete };
  }

  /** Asks all others, and waits until those that live have replied, at most so long. */
  async ask<A extends Question['about']>(
    question: AskedFor<A>,
    waitMs = REPLY_MS,
  ): Promise<Asked<Replies[A]>> {
    const { members, isComplete } = await this.list();
    const others = [...members, ...(isComplete ? [] : this.#lost(members))].filter(({ isThis }) => !isThis);
    const replies = await this.#replies<A>(question, others, waitMs);
    const self = members[0]?.label ?? '';
    return {
      self,
      others: others.map(({ label }) => label),
      silent: others.flatMap(({ id, label }) => (replies.has(id) ? [] : [label])),
      isComplete,
      replies: others.flatMap(({ id, label }) => {
        const replied = replies.get(id);
        return replied ? [{ label, ...replied }] : [];
      }),
    };
  }

  /** Members that were known before, and that the store does not name now. */
  #lost(members: readonly FleetMember[]): readonly FleetMember[] {
    const known = this.#known?.members ?? [];
    return known.filter(({ id }) => !members.some((member) => member.id === id));
  }

  async #replies<A extends Question['about']>(
    question: AskedFor<A>,
    others: readonly FleetMember[],
    waitMs: number,
  ): Promise<Map<string, { readonly afterMs: number; readonly reply: Replies[A] }>> {
    const { clock } = this.#parts;
    const replies = new Map<string, { afterMs: number; reply: Replies[A] }>();
    if (others.length === 0) return replies;
    const id = randomUUID();
    const startedAtMs = clock.monotonicMs();
    try {
      await this.#announce(id, question);
      for (let polls = 0, read = 0; ; polls++) {
        const texts = (await this.#board?.read(replyBox(id), read)) ?? [];
        const afterMs = clock.monotonicMs() - startedAtMs;
        read += texts.length;
        for (const { from, reply } of texts.map(parseReplying).filter((each) => each !== undefined)) {
          const known = parseReply<A>(question.about, reply);
          if (known !== undefined && !replies.has(from)) replies.set(from, { afterMs, reply: known });
        }
        const isWaiting = others.some((other) => other.isLive && !replies.has(other.id));
        if (!isWaiting || afterMs >= waitMs || this.#stopping.signal.aborted) break;
        await pause(clock, polls < FIRST_POLLS ? FIRST_POLL_MS : POLL_MS, this.#stopping.signal);
      }
    } catch {
      // The store was lost meanwhile: those that have not replied are silent.
    }
    return replies;
  }

  /** What may name a person lies in a box of some seconds, not in the log. */
  async #announce(id: string, question: Question): Promise<void> {
    const text = JSON.stringify(question);
    const isAnnounced = NAMELESS.has(question.about) && text.length <= MAX_ANNOUNCED_CHARACTERS;
    if (!isAnnounced) await this.#board?.put(questionBox(id), text);
    const asking = { fleet: 'ask', id, from: this.#id, ...(isAnnounced && { question }) };
    await this.#parts.store.announce(JSON.stringify(asking));
  }

  async #heard(text: string): Promise<void> {
    const asking = parseAsking(text);
    if (!asking || asking.from === this.#id || !this.#board) return;
    try {
      const [boxed = ''] = asking.question ? [] : await this.#board.read(questionBox(asking.id), 0);
      const question = asking.question ?? parseQuestion(boxed);
      if (!question) return;
      const reply = await this.#parts.respond(question);
      await this.#board.put(replyBox(asking.id), JSON.stringify({ from: this.#id, reply }));
    } catch (error) {
      // The gateway that asks names this one as silent.
      this.#warn(error, 'the question of another gateway got no reply');
    }
  }

  async #beat(): Promise<void> {
    const { signal } = this.#stopping;
    const { clock } = this.#parts;
    let isTold = false;
    let said: { readonly news: string; readonly atMs: number } | undefined;
    for (; !signal.aborted; await pause(clock, LOOK_MS, signal)) {
      const report = this.#parts.report();
      const nowMs = clock.monotonicMs();
      const news = `${report.ready} ${report.canary?.id} ${report.canary?.state}`;
      if (said?.news === news && nowMs - said.atMs < BEAT_MS) continue;
      said = { news, atMs: nowMs };
      try {
        await this.#board?.beat(this.#id, JSON.stringify(report));
        this.#hasBeaten = true;
        await this.list();
        isTold = false;
      } catch (error) {
        if (!isTold)
          isTold = this.#warn(
            error,
            'other gateways cannot see this one: the store does not take its heartbeat',
          );
      }
    }
  }

  /** Not while the store is lost: that is logged where the list is followed. */
  #warn(error: unknown, message: string): boolean {
    const { view, logger } = this.#parts;
    if (view.connected) logger.warn({ error: describeError(error) }, message);
    return view.connected;
  }
}

const questionBox = (id: string): string => `question-${id}`;
const replyBox = (id: string): string => `replies-${id}`;
