/**
 * The declarations of the libraries for TypeScript users: made by tsc from the sources, kept as far as the library's door needs them, and
 * with `#room/file.ts` imports turned into relative ones, which a consumer's compiler can follow.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';

const specifier = /(?<=\bfrom\s+|\bimport\()'([^']+)'/gu;

/** How a consumer loads what the declarations tell of: `.d.ts` and `.d.cts` in a package of ECMAScript modules. */
export type ModuleKind = 'esm' | 'cjs';

/** Writes `out/types/...` for a file of `src/` (without `.ts`) and what its declarations need. */
export function writeLibraryTypes(out: string, door: string, kind: ModuleKind): void {
  const [ending, imported] = kind === 'esm' ? ['.d.ts', '.js'] : ['.d.cts', '.cjs'];
  const made = mkdtempSync(join(tmpdir(), 'jettison-types-'));
  try {
    emitDeclarations(made, door);
    const waiting = [`${door}.d.ts`];
    for (const file of waiting) {
      const text = readFileSync(join(made, file), 'utf8').replace(specifier, (whole, written: string) => {
        // The types of Node, which a program on Node has.
        if (written.startsWith('node:')) return whole;
        const target = `${targetOf(written, file).replace(/\.ts$/u, '')}.d.ts`;
        if (!waiting.includes(target)) waiting.push(target);
        const path = relative(dirname(file), target).replace(/\.d\.ts$/u, imported);
        return `'${path.startsWith('.') ? path : `./${path}`}'`;
      });
      const destination = join(out, 'types', file.replace(/\.d\.ts$/u, ending));
      mkdirSync(dirname(destination), { recursive: true });
      writeFileSync(destination, text);
    }
  } finally {
    rmSync(made, { recursive: true, force: true });
  }
}

function targetOf(written: string, from: string): string {
  if (written.startsWith('#')) return written.slice(1);
  if (written.startsWith('.')) return join(dirname(from), written);
  throw new Error(`${from} imports "${written}", which the package does not have`);
}

function emitDeclarations(out: string, door: string): void {
  const root = resolve('.');
  const config = {
    extends: join(root, 'tsconfig.json'),
    compilerOptions: {
      noEmit: false,
      incremental: false,
      declaration: true,
      emitDeclarationOnly: true,
      outDir: out,
      rootDir: join(root, 'src'),
      typeRoots: [join(root, 'node_modules/@types')],
    },
    include: [],
    files: [join(root, 'src', `${door}.ts`)],
  };
  const file = join(out, 'tsconfig.json');
  writeFileSync(file, JSON.stringify(config));
  execFileSync(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', file], { stdio: ['ignore', 'inherit', 'inherit'] });
}
