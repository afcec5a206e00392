/** `--detach-keys`: a sequence of keys that leaves a container running, by default `ctrl-p,ctrl-q`; a single letter, or `ctrl-` and one of `a` to `z`, `@`, `^`, `[`, `_`, `\`, `]`. */
import { badValue } from './option.ts';

export const usualDetachKeys = 'ctrl-p,ctrl-q';

export type KeyWatch = (typed: Uint8Array) => { readonly send: Uint8Array; readonly isComplete: boolean };

/** Bytes of the keys; none for an empty text: then nothing detaches. Throws `cli/bad-value`. */
export function readDetachKeys(text: string): readonly number[] {
  return text === '' ? [] : text.split(',').map((word) => keyOf(word, text));
}

function keyOf(word: string, text: string): number {
  const control = /^ctrl-([a-z@^[_\\\]])$/u.exec(word)?.[1];
  if (control !== undefined) return control.toUpperCase().charCodeAt(0) & 0x1f;
  const code = word.length === 1 ? word.charCodeAt(0) : 0;
  if (code > 0 && code < 128) return code;
  throw badValue('detach-keys', text, 'use letters and "ctrl-" with a letter, between commas: "ctrl-p,ctrl-q"');
}

/** Watches what is typed. The beginning of the sequence is kept back until another key shows that it was none. Throws as `readDetachKeys`. */
export function createKeyWatch(text: string): KeyWatch {
  const keys = readDetachKeys(text);
  let matched = 0;
  return (typed) => {
    if (keys.length === 0) return { send: typed, isComplete: false };
    const send: number[] = [];
    for (const key of typed) {
      if (key === keys[matched]) matched++;
      else {
        send.push(...keys.slice(0, matched));
        matched = key === keys[0] ? 1 : 0;
        if (matched === 0) send.push(key);
      }
      if (matched === keys.length) return { send: Uint8Array.from(send), isComplete: true };
    }
    return { send: Uint8Array.from(send), isComplete: false };
  };
}
