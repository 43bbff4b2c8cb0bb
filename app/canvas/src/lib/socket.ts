/** A WebSocket that comes back by itself. */

import type { Message, Request } from "./types";

/** Milliseconds: silence after which the server is asked for a sign of life, and how long it has to give one. */
const SILENCE = 20_000;
const PATIENCE = 10_000;
const FIRST_PAUSE = 250;
const LONGEST_PAUSE = 8_000;

export interface Listener {
  message(message: Message): void;
  /** What to say first on each connection, and as the question for a sign of life. */
  greeting(): Request;
  connected(is: boolean): void;
}

export class Socket {
  #socket: WebSocket | null = null;
  #failures = 0;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #alarm: ReturnType<typeof setTimeout> | undefined;
  #closed = false;

  constructor(
    readonly address: string,
    readonly listener: Listener,
    readonly make: (address: string) => WebSocket = (address) => new WebSocket(address),
  ) {}

  open(): void {
    if (this.#closed || this.#socket) return;
    clearTimeout(this.#retry);
    const socket = this.make(this.address);
    this.#socket = socket;
    // A connection that hangs before it opens is given up like one that fell silent.
    this.#expectSign(PATIENCE);
    socket.onopen = () => {
      if (socket !== this.#socket) return;
      this.#failures = 0;
      this.listener.connected(true);
      this.send(this.listener.greeting());
      this.#listen();
    };
    socket.onmessage = (event) => {
      if (socket !== this.#socket) return;
      this.#listen();
      this.listener.message(JSON.parse(event.data));
    };
    socket.onclose = () => this.#lost(socket);
    socket.onerror = () => this.#lost(socket);
  }

  /** Send now, or not at all: the greeting of the next connection says where the page stands. */
  send(request: Request): void {
    if (this.#socket?.readyState === 1) this.#socket.send(JSON.stringify(request));
  }

  /** Try at once instead of after the pause: the network came back, or the page is looked at again. */
  hurry(): void {
    this.#failures = 0;
    this.open();
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#retry);
    clearTimeout(this.#alarm);
    this.#socket?.close();
    this.#socket = null;
  }

  #listen(): void {
    clearTimeout(this.#alarm);
    this.#alarm = setTimeout(() => {
      this.send(this.listener.greeting());
      this.#expectSign(PATIENCE);
    }, SILENCE);
  }

  #expectSign(within: number): void {
    clearTimeout(this.#alarm);
    const socket = this.#socket;
    this.#alarm = setTimeout(() => {
      if (!socket) return;
      socket.close();
      this.#lost(socket);
    }, within);
  }

  #lost(socket: WebSocket): void {
    if (socket !== this.#socket) return;
    this.#socket = null;
    clearTimeout(this.#alarm);
    this.listener.connected(false);
    if (this.#closed) return;
    // Spread out, so that a restarted server is not met by all its pages at once.
    const pause = Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** this.#failures++) * (0.75 + Math.random() / 2);
    this.#retry = setTimeout(() => this.open(), pause);
  }
}
