/** The byte strings and texts by which a secret value is known: as it is, its parts, and how it looks in base64, hex and addresses. */
import type { Needle } from '#ground/base/needles.ts';
import { isSecretName } from '#languages/frontend/secret-names.ts';

/** A value, and what it is called: the id of a `--secret`, `ssh:ID`, `registry:HOST`. */
export type SecretValue = { readonly id: string; readonly bytes: Uint8Array };

/** Shorter values stand in files by chance. */
const shortest = 8;
/** Values shorter than this count only when they are no plain word or number. */
const shortestWord = 12;
/** Of a value that is longer, its beginning counts. */
const longest = 4096;
/** Parts of a value with several lines, at most. */
const mostParts = 256;
/** Of how many parts the encodings count, too; the rest of a key is not encoded without its beginning. */
const mostEncoded = 16;
/** Bytes that are looked for encoded: programs that encode break lines after 30 (`xxd -p`) or 57 (`base64`). */
const encodedLength = 24;
/** Shorter texts would hide half of what is printed. */
const shortestHidden = 4;
const shortestHiddenLine = 8;

/** What is looked for in layers and documents; none for values that are too short, or public (certificates). Values are bytes of latin1 here. */
export function needlesOf({ id, bytes }: SecretValue): readonly Needle[] {
  const needles = new Map<string, Needle>();
  const add = (text: string, form?: string): void => {
    if (!needles.has(text)) needles.set(text, { id, bytes: toBytes(text), ...(form === undefined ? {} : { form }) });
  };
  const parts = partsOf(toLatin1(bytes));
  for (const part of parts) add(part.slice(0, longest));
  for (const part of parts.slice(0, mostEncoded)) {
    for (const [form, text] of encodings(part.slice(0, encodedLength))) add(text, form);
    for (const text of escaped(part.slice(0, longest))) add(text);
  }
  return [...needles.values()];
}

/** What is hidden in texts that people see, longest first. */
export function hiddenTexts(values: Iterable<SecretValue>): readonly string[] {
  const texts = new Set<string>();
  for (const { bytes } of values) {
    const text = new TextDecoder().decode(bytes).trim();
    const lines = text.split(/\r?\n/u).map((line) => line.trim());
    if (text.length >= shortestHidden) texts.add(text);
    if (lines.length > 1) for (const line of lines) if (line.length >= shortestHiddenLine) texts.add(line);
    const parts = partsOf(toLatin1(bytes));
    for (const part of parts) texts.add(new TextDecoder().decode(toBytes(part)));
    for (const part of parts.slice(0, mostEncoded)) {
      const [whole, start] = [part.slice(0, longest), part.slice(0, encodedLength)];
      for (const [, encoded] of [...encodings(whole), ...encodings(start)]) texts.add(encoded);
      for (const other of escaped(whole)) texts.add(other);
    }
  }
  return [...texts].toSorted((a, b) => b.length - a.length);
}

/** The value without the space around it, and what in it looks like a secret of its own. */
function partsOf(value: string): readonly string[] {
  const bare = withoutPublic(value);
  const whole = bare === value ? [value.trim()] : [];
  return [...new Set([...whole, ...namedValues(bare), ...tokens(bare)])].filter(isUnlikely).slice(0, mostParts);
}

/** Whether it does not stand in files by chance. */
function isUnlikely(part: string): boolean {
  if (part.length < shortest || new Set(part).size < 4) return false;
  return part.length >= shortestWord || !/^(?:[a-z]+|[A-Z][a-z]+|[A-Z]+|\d+)$/u.test(part);
}

/** Certificates and public keys are for everybody to see. */
function withoutPublic(value: string): string {
  return value.replaceAll(/-----BEGIN ([^-\n]*(?:CERTIFICATE|PUBLIC KEY)[^-\n]*)-----[^-]*-----END \1-----/gu, '');
}

/** `name=value`, `name: "value"` of names that say secret. */
function namedValues(value: string): readonly string[] {
  // Looked for from the first letter of a run alone: a key of 500 KB in one line is one run.
  return [...value.matchAll(/(?<![\w.-])[\d.-]*([A-Za-z_][\w.-]*)["']?[ \t]*[=:][ \t]*["']?([^\s"',]+)/gu)].flatMap(
    ([, name = '', text = '']) => (isSecretName(name.replaceAll(/[.-]/gu, '_').replaceAll(/([a-z])([A-Z])/gu, '$1_$2')) ? [text] : []),
  );
}

/** What every OpenSSH key without a passphrase begins with. */
const commonStart = 'b3BlbnNzaC1rZXktdjEA';

/** Runs of letters and digits that look drawn by lot, names before a colon or an equals sign left out. */
function tokens(value: string): readonly string[] {
  const runs = value.matchAll(/(?<![\w+/-])[\w+/-]{16,}(?=={1,2}(?:$|[\s"',;])|(?!["']?[ \t]*[:=])(?:$|[\s"'.,;&}\])]))/gmu);
  return [...runs].map(([run]) => run).filter((run) => isMixed(run) && !run.startsWith(commonStart));
}

function isMixed(run: string): boolean {
  const digits = run.replaceAll(/\D/gu, '').length;
  return digits >= 3 || (digits > 0 && /[a-z]/u.test(run) && /[A-Z]/u.test(run));
}

/** How a value looks in JSON and in an address, where that is another way. */
function escaped(value: string): readonly string[] {
  const json = JSON.stringify(value).slice(1, -1);
  const address = Array.from(value, (letter) => (/[\w.~-]/u.test(letter) ? letter : `%${hex(letter).toUpperCase()}`)).join('');
  return [json, address, address.replaceAll(/%../gu, (code) => code.toLowerCase())].filter((text) => text !== value);
}

function encodings(value: string): readonly (readonly [form: string, text: string])[] {
  const base64 = [0, 1, 2].map((before) => base64Of(value, before));
  const web = base64.map((text) => text.replaceAll('+', '-').replaceAll('/', '_'));
  return [...[...base64, ...web].map((text) => ['base64', text] as const), ['hex', hex(value)], ['hex', hex(value).toUpperCase()]];
}

/** The letters that depend on `value` alone where it comes after `before` other bytes. */
function base64Of(value: string, before: number): string {
  const letters = btoa('\0'.repeat(before) + value);
  return letters.slice(Math.ceil((before * 8) / 6), Math.floor(((before + value.length) * 8) / 6));
}

function hex(value: string): string {
  return Array.from(value, (letter) => letter.charCodeAt(0).toString(16).padStart(2, '0')).join('');
}

function toLatin1(bytes: Uint8Array): string {
  const pieces: string[] = [];
  for (let at = 0; at < bytes.length; at += 4096) pieces.push(String.fromCharCode(...bytes.subarray(at, at + 4096)));
  return pieces.join('');
}

function toBytes(latin1: string): Uint8Array {
  return Uint8Array.from(latin1, (letter) => letter.charCodeAt(0));
}
