/** DNS messages (RFC 1035), as far as a server needs to understand them that answers for some names and hands on the rest. */
import { ipv4Bytes, ipv4Text } from '#ground/base/ipv4.ts';

export type Question = {
  readonly id: number;
  /** In small letters, without the last dot. */
  readonly name: string;
  readonly type: number;
  /** Where the question ends. */
  readonly end: number;
};

export const recordTypes = { address: 1, pointer: 12, address6: 28 } as const;
export const responses = { fine: 0, failed: 2 } as const;

const headerSize = 12;
/** Seconds that an answer may be remembered: containers come and go. */
const lifetime = 5;
const internet = 1;

/** The one question of a message; undefined for what is none (an answer, another class, several questions, broken). */
export function readQuestion(message: Uint8Array): Question | undefined {
  if (message.length < headerSize) return undefined;
  const view = new DataView(message.buffer, message.byteOffset, message.length);
  const isQuery = (view.getUint16(2) & 0xf800) === 0;
  if (!isQuery || view.getUint16(4) !== 1) return undefined;
  const labels: string[] = [];
  let at = headerSize;
  for (;;) {
    const length = message[at];
    if (length === undefined || length > 63 || at > headerSize + 255) return undefined;
    at += 1;
    if (length === 0) break;
    labels.push(String.fromCharCode(...message.subarray(at, at + length)).toLowerCase());
    at += length;
  }
  if (at + 4 > message.length || view.getUint16(at + 2) !== internet) return undefined;
  return { id: view.getUint16(0), name: labels.join('.'), type: view.getUint16(at), end: at + 4 };
}

/** An answer with addresses (type A). Without any: the name is there, but has nothing of what was asked. */
export function answerAddresses(message: Uint8Array, question: Question, addresses: readonly number[]): Uint8Array {
  return answer(message, question, {
    code: responses.fine,
    records: addresses.map((address) => record(recordTypes.address, ipv4Bytes(address))),
  });
}

/** An answer with a name (type PTR). */
export function answerName(message: Uint8Array, question: Question, name: string): Uint8Array {
  const labels = name.split('.').flatMap((label) => [label.length, ...new TextEncoder().encode(label)]);
  return answer(message, question, { code: responses.fine, records: [record(recordTypes.pointer, Uint8Array.of(...labels, 0))] });
}

/** Nobody could be asked. */
export function answerFailure(message: Uint8Array, question: Question): Uint8Array {
  return answer(message, question, { code: responses.failed, records: [] });
}

function answer(
  message: Uint8Array,
  { end }: Question,
  { code, records }: { readonly code: number; readonly records: readonly Uint8Array[] },
): Uint8Array {
  const size = records.reduce((sum, { length }) => sum + length, end);
  const bytes = new Uint8Array(size);
  bytes.set(message.subarray(0, end));
  const view = new DataView(bytes.buffer);
  // Response, recursion available, with the wish for recursion as it was asked.
  view.setUint16(2, 0x8080 | (view.getUint16(2) & 0x0100) | code);
  view.setUint16(6, records.length);
  view.setUint16(8, 0);
  view.setUint16(10, 0);
  let at = end;
  for (const one of records) {
    bytes.set(one, at);
    at += one.length;
  }
  return bytes;
}

/** Its name is the question's, by a pointer. */
function record(type: number, data: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(12 + data.length);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, 0xc000 | headerSize);
  view.setUint16(2, type);
  view.setUint16(4, internet);
  view.setUint32(6, lifetime);
  view.setUint16(10, data.length);
  bytes.set(data, 12);
  return bytes;
}

/** The address that a name of `in-addr.arpa` is about; undefined for other names. */
export function addressOfPointer(name: string): string | undefined {
  const [, d, c, b, a] = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.in-addr\.arpa$/u.exec(name) ?? [];
  const bytes = [a, b, c, d].map(Number);
  return a === undefined || bytes.some((byte) => byte > 255) ? undefined : ipv4Text(bytes.reduce((sum, byte) => sum * 256 + byte, 0));
}
