/** What a program cannot be loaded for, in words. */
import { toText, type ByteString } from '#ground/base/byte-string.ts';
import { unreachable } from '#ground/base/errors.ts';
import type { LoadFault, Remedy } from './closure.ts';
import { nameOf } from './files.ts';
import type { Finding } from './finding.ts';
import type { LoadedObject } from './loader.ts';

type Words = Omit<Finding, 'severity' | 'root'>;

/** `path`: of the program, as it was started. */
export function sayFault(fault: LoadFault, path: ByteString): Words {
  switch (fault.kind) {
    case 'interpreter':
      return sayLoader(fault, path);
    case 'version':
      return sayVersion(fault, path);
    case 'library':
      return sayLibrary(fault, path);
    default:
      return unreachable(fault, 'fault');
  }
}

export function remediesOf(fault: LoadFault): readonly Remedy[] {
  return fault.kind === 'version' || fault.remedy === undefined ? [] : [fault.remedy];
}

function sayLoader(fault: Extract<LoadFault, { kind: 'interpreter' }>, path: ByteString): Words {
  const [shown, loader] = [toText(path), toText(fault.path)];
  const remedies = remediesOf(fault);
  const library = loader.includes('musl') ? 'musl (Alpine, or Debian with the package musl)' : 'glibc (Debian, or distroless/base)';
  const what = {
    missing: 'which is not in the image: the kernel says "no such file or directory"',
    refused: "which the image's user may not execute",
    'other-machine': 'which is for another machine',
    broken: 'which is no ELF file',
  }[fault.why];
  const hint = fault.why !== 'missing' || remedies.length > 0 ? undefined : `Use a base with ${library}, or link the program statically`;
  const message = `"${shown}" was linked for the loader "${loader}", ${what}`;
  return { rule: 'missing-loader', file: shown, missing: loader, message, remedies, hint };
}

function sayVersion({ library, by, version }: Extract<LoadFault, { kind: 'version' }>, path: ByteString): Words {
  const [has, needs, name] = [toText(library.path), toText(by.path), toText(version)];
  const message = `"${needs}"${whose(by, path)} needs ${name}, which "${has}" of the image does not have: it was built where that is newer`;
  const hint = version.startsWith('GLIBC_')
    ? 'Build it in a stage of the same release as the final stage, start the final stage from the image that it was built in, or link it statically'
    : `Bring the "${toText(nameOf(library.path))}" that it was built with`;
  return { rule: 'missing-version', file: needs, missing: name, message, remedies: [], hint };
}

function sayLibrary(fault: Extract<LoadFault, { kind: 'library' }>, path: ByteString): Words {
  const [name, by] = [toText(fault.name), toText(fault.by.path)];
  const at = toText(fault.at ?? fault.name);
  const remedies = remediesOf(fault);
  const what = {
    missing: 'which is nowhere that its loader looks',
    uncached: 'which lies where the loader looks only when "ldconfig" has been run',
    broken: `and finds "${at}", which is no library that can be loaded`,
    refused: `and "${at}" may not be read by the image's user`,
  }[fault.why];
  const rule = ({ missing: 'missing-library', uncached: 'uncached-library', broken: 'broken-library', refused: 'broken-library' } as const)[
    fault.why
  ];
  const install = remedies.length > 0 ? undefined : `Install the package with "${name}" in the final stage`;
  const hint = fault.why === 'uncached' ? 'RUN ldconfig after the library was copied' : install;
  return { rule, file: by, missing: name, message: `"${by}"${whose(fault.by, path)} needs "${name}", ${what}`, remedies, hint };
}

function whose(by: LoadedObject, path: ByteString): string {
  return by.by === undefined ? '' : ` (of "${toText(path)}")`;
}
