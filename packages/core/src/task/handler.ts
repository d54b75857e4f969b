// What can serve a method.

/** Any function that can serve as a handler. */
// biome-ignore lint/suspicious/noExplicitAny: parameters of unknown handlers can't be typed otherwise
export type Handler = (...args: any[]) => unknown;
