/** Progress events as JSON lines: one event a line, in order; for files and for programs that watch. */
import { JettisonError, messageOf } from '#ground/base/errors.ts';
import type { ProgressEvent } from './event.ts';

/** The members that each kind must have, with the type of each. */
const shapes: { readonly [K in ProgressEvent['kind']]: Readonly<Record<string, 'string' | 'number' | 'boolean' | 'object'>> } = {
  vertex: { vertex: 'string', text: 'string' },
  'vertex-started': { vertex: 'string', time: 'number' },
  'vertex-cached': { vertex: 'string', time: 'number' },
  'vertex-finished': { vertex: 'string', time: 'number' },
  'vertex-failed': { vertex: 'string', time: 'number', message: 'string', cancelled: 'boolean' },
  output: { vertex: 'string', stream: 'string', text: 'string', time: 'number' },
  transfer: { direction: 'string', item: 'string', current: 'number', total: 'number', state: 'string' },
  warning: { rule: 'string', message: 'string', at: 'object' },
  note: { text: 'string' },
};

/** One event as a line, with its line break. */
export function writeEvent(event: ProgressEvent): string {
  return `${JSON.stringify(event)}\n`;
}

/** The event of one line. Throws `progress/bad-line` for anything that is no event of this version. */
export function readEvent(line: string): ProgressEvent {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (error) {
    throw badLine(line, messageOf(error));
  }
  if (!isEvent(value)) throw badLine(line, 'unknown kind, or a member is missing');
  return value;
}

function isEvent(value: unknown): value is ProgressEvent {
  if (typeof value !== 'object' || value === null || !('kind' in value) || typeof value.kind !== 'string') return false;
  const shape = new Map<string, Readonly<Record<string, string>>>(Object.entries(shapes)).get(value.kind);
  if (!shape) return false;
  const members = new Map<string, unknown>(Object.entries(value));
  return Object.entries(shape).every(([name, type]) => typeof members.get(name) === type);
}

function badLine(line: string, why: string): JettisonError {
  return new JettisonError('progress/bad-line', `Not a progress event (${why}): "${line.slice(0, 120)}"`);
}
