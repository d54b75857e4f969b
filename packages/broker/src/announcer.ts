// What is published, and only as far as somebody subscribed to it: nothing else is made JSON of.
import { Announcement, type AnnouncementSocket, announcementPrefix } from "zerotask-core";
import type { EventBody, LogBody } from "./state/events/events.ts";
import type { Entry } from "./state/events/journal.ts";

/** So many methods are remembered for whether somebody listens to them. */
const maxRemembered = 10_000;

const eventKinds = [Announcement.TaskEvent, Announcement.MethodEvent, Announcement.BrokerEvent];

export class Announcer {
  readonly #publisher: AnnouncementSocket;
  /** Whether anybody wants any events, or any lines of logs. */
  #wantsEvents = false;
  #wantsLogs = false;
  #wantsAll = false;
  /** By method, until subscriptions change. */
  readonly #heard = new Map<string, boolean>();

  constructor(publisher: AnnouncementSocket) {
    this.#publisher = publisher;
  }

  /** Somebody came, or left. */
  onSubscriptions(): void {
    const wants = (kind: string): boolean => this.#publisher.hasListeners(announcementPrefix(kind));
    this.#wantsEvents = eventKinds.some(wants);
    this.#wantsAll = wants(Announcement.BrokerEvent);
    this.#wantsLogs = wants(Announcement.TaskLog);
    this.#heard.clear();
  }

  /** Whether anybody listens to the events of this method: asked for each status of each call. */
  isHeard(method: string): boolean {
    if (!this.#wantsEvents) return false;
    if (this.#wantsAll) return true;
    let isHeard = this.#heard.get(method);
    if (isHeard === undefined) {
      isHeard = this.#publisher.hasListeners(announcementPrefix(Announcement.MethodEvent, "method", method));
      if (this.#heard.size >= maxRemembered) this.#heard.clear();
      this.#heard.set(method, isHeard);
    }
    return isHeard;
  }

  announce(announcement: string, params: object): void {
    if (this.#publisher.hasListeners(announcementPrefix(announcement))) this.#publish(announcement, params);
  }

  event(entry: Entry<EventBody>): void {
    if (!this.#wantsEvents) return;
    const { seq, prev, at, taskId, method, body } = entry;
    if (this.#isWanted(Announcement.TaskEvent, "task_id", taskId)) {
      this.#publish(Announcement.TaskEvent, { task_id: taskId, method, seq, prev: prev.task, at }, body.json);
    }
    if (this.isHeard(method) && this.#isWanted(Announcement.MethodEvent, "method", method)) {
      const head = { method, task_id: taskId, seq, prev: prev.method, at };
      this.#publish(Announcement.MethodEvent, head, body.json);
    }
    if (!this.#wantsAll) return;
    this.#publish(Announcement.BrokerEvent, { seq, prev: prev.all, at, task_id: taskId, method }, body.json);
  }

  log({ seq, prev, at, taskId, body }: Entry<LogBody>): void {
    if (!this.#wantsLogs || !this.#isWanted(Announcement.TaskLog, "task_id", taskId)) return;
    this.#publish(Announcement.TaskLog, { task_id: taskId, seq, prev: prev.task, at }, body.json);
  }

  #isWanted(announcement: string, member: string, value: string): boolean {
    return this.#publisher.hasListeners(announcementPrefix(announcement, member, value));
  }

  /** @param more JSON of further members, without braces */
  #publish(announcement: string, params: object, more?: string): void {
    const json = JSON.stringify(params);
    const all = more === undefined ? json : `${json.slice(0, -1)},${more}}`;
    this.#publisher.publish(`${announcementPrefix(announcement)},"params":${all}}`);
  }
}
