/** What each function of a store takes. */
import type { ProgressEvent } from '#formats/progress/event.ts';

export type CallOptions = { readonly signal?: AbortSignal };

/** Vertices are steps: each is declared once before anything else is said of it. Times are milliseconds since the epoch. */
export type BuildEvent = ProgressEvent;

/** `onEvent` is called as things happen; what it throws ends the call and comes out of it. */
export type EventOptions = CallOptions & { readonly onEvent?: (event: BuildEvent) => void };
