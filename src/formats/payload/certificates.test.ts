import assert from 'node:assert/strict';
import { test } from 'node:test';
import { asByteString, bytesOf, type ByteString } from '#ground/base/byte-string.ts';
import { plainProgram } from '#test/kit/elf.ts';
import type { Closure, World } from './closure.ts';
import type { PayloadEntry } from './files.ts';
import { lookAt } from './look.ts';
import { checkSurroundings } from './surroundings.ts';

const text = bytesOf(asByteString('/etc/ssl/certs/ca-certificates.crt'));
const mega = 1 << 20;

test('the path of a bundle is found wherever it lies, also across two pieces', () => {
  for (const at of [0, mega - 5, mega, 3 * mega - text.length]) {
    const { findings, longest } = search([{ name: 'tool', size: 3 * mega, at }]);
    assert.deepEqual(findings, ['no-certificates /tool'], String(at));
    assert.ok(longest < 2 * mega, 'in pieces');
  }
});

test('hostile programs: what is searched for certificates is limited, whatever the programs are', () => {
  const huge = { name: 'huge', size: 1e15, at: undefined };
  const { findings, read } = search([huge, { name: 'tool', size: mega, at: 0 }]);
  assert.deepEqual(findings, []);
  assert.ok(read > 100 * mega && read < 150 * mega, String(read));
  assert.deepEqual(search([{ name: 'tool', size: mega, at: 0 }, huge]).findings, ['no-certificates /tool'], 'what starts comes first');
});

type Program = { readonly name: string; readonly size: number; /** Where the text is. */ readonly at: number | undefined };

/** All programs are static ones. */
function search(programs: readonly Program[]): { readonly findings: readonly string[]; readonly read: number; readonly longest: number } {
  let [read, longest] = [0, 0];
  const bytes = ({ size, at }: Program, offset: number, length: number): Uint8Array => {
    const piece = new Uint8Array(Math.min(length, size - offset));
    read += piece.length;
    longest = Math.max(longest, piece.length);
    if (at === undefined) return piece;
    for (const [index, byte] of text.entries()) if (at + index >= offset) piece.fill(byte, at + index - offset, at + index - offset + 1);
    return piece;
  };
  const named = new Map(programs.map((program) => [program.name, program]));
  const look = lookAt(
    {
      find: (path): PayloadEntry | undefined => {
        const program = named.get(path.slice(1));
        const common = { path: asByteString(path.slice(1)), kind: 'file', mode: 0o755, uid: 0, gid: 0 } as const;
        return program && { ...common, size: program.size };
      },
      use: ({ path, size }, use) => {
        const program = named.get(path);
        return use({ size, read: (offset, length) => (program === undefined ? new Uint8Array(0) : bytes(program, offset, length)) });
      },
    },
    () => new Map<ByteString, readonly ByteString[]>(),
    { left: Infinity },
  );
  const closures = programs.map(({ name }): Closure => {
    const object = { path: asByteString(`/${name}`), elf: plainProgram, by: undefined, source: undefined };
    return { loader: 'unknown', interpreter: undefined, objects: [object], faults: [] };
  });
  const root = asByteString('/');
  const world: World = {
    look,
    stages: [],
    environment: new Map(),
    workingDirectory: root,
    user: { uid: 0, gids: [0] },
    cameFrom: () => undefined,
  };
  const findings = [...checkSurroundings(closures, world)].flat().map(({ rule, file }) => `${rule} ${file ?? ''}`);
  return { findings, read, longest };
}
