/** Packages of Python, Rust, Ruby, PHP and Go, by what their managers write down. */
import * as v from 'valibot';
import { packageOf, type Package } from './package.ts';

/** `METADATA` of a `.dist-info` folder, `PKG-INFO` of an egg: https://packaging.python.org/en/latest/specifications/core-metadata/ */
export function readPythonMetadata(text: string, foundIn: string): readonly Package[] {
  const [head = ''] = text.replaceAll('\r', '').split('\n\n');
  const field = (name: string): string | undefined => new RegExp(`^${name}:[ \\t]*(\\S.*)$`, 'imu').exec(head)?.[1]?.trim();
  const [name, version] = [field('Name'), field('Version')];
  if (name === undefined || version === undefined) return [];
  const license = field('License-Expression') ?? classifiedLicense(head) ?? field('License');
  const isText = license === undefined || license.length > 80 || license === 'UNKNOWN';
  const supplier = field('Author') ?? field('Author-email');
  return [packageOf({ type: 'pypi', name, version, licenses: isText ? [] : [license], supplier, homepage: field('Home-page'), foundIn })];
}

function classifiedLicense(head: string): string | undefined {
  return /^Classifier: License :: (?:OSI Approved :: )?(?<name>.+)$/mu.exec(head)?.groups?.['name'];
}

/** `requirements.txt`: what is pinned to one version. */
export function readRequirements(text: string, foundIn: string): readonly Package[] {
  // Line by line: over line ends, a pattern would look at the rest of the file once for each line.
  return text.split('\n').flatMap((line) => {
    const { groups } = /^\s*(?<name>[A-Za-z0-9][\w.-]*)(?:\[[^\]]*\])?\s*===?\s*(?<version>[\w.+!-]+)/u.exec(line) ?? {};
    return groups === undefined ? [] : [packageOf({ type: 'pypi', name: groups['name'] ?? '', version: groups['version'] ?? '', foundIn })];
  });
}

/** `[[package]]` tables with a name and a version: `Cargo.lock`, `poetry.lock`, `uv.lock`. Of a Rust crate only those that came from somewhere: the others are what is built. */
export function readTomlLock(text: string, foundIn: string, type: 'cargo' | 'pypi'): readonly Package[] {
  return text
    .split(/^\[\[package\]\]\s*$/mu)
    .slice(1)
    .flatMap((table) => {
      const [own = ''] = table.split(/^\[/mu);
      const value = (key: string): string | undefined => new RegExp(`^${key} = "([^"]*)"`, 'mu').exec(own)?.[1];
      const [name, version] = [value('name'), value('version')];
      if (name === undefined || version === undefined || (type === 'cargo' && value('source') === undefined)) return [];
      return [packageOf({ type, name, version, foundIn })];
    });
}

const pinned = v.object({ version: v.optional(v.string()) });
const pipfileShape = v.object({
  default: v.optional(v.record(v.string(), v.unknown())),
  develop: v.optional(v.record(v.string(), v.unknown())),
});

export function readPipfileLock(text: string, foundIn: string): readonly Package[] {
  const parsed = v.safeParse(pipfileShape, parseJson(text));
  if (!parsed.success) return [];
  return [parsed.output.default, parsed.output.develop].flatMap((group) =>
    Object.entries(group ?? {}).flatMap(([name, value]) => {
      const one = v.safeParse(pinned, value);
      const version = one.success ? one.output.version : undefined;
      return version === undefined ? [] : [packageOf({ type: 'pypi', name, version: version.replace(/^=+/u, ''), foundIn })];
    }),
  );
}

/** `Gemfile.lock`: the lines of four blanks below `specs:`. */
export function readGemfileLock(text: string, foundIn: string): readonly Package[] {
  return [...text.matchAll(/^ {4}(?<name>[\w.-]+) \((?<version>\d[^)\s]*)\)$/gmu)].map(({ groups }) =>
    packageOf({ type: 'gem', name: groups?.['name'] ?? '', version: groups?.['version'] ?? '', foundIn }),
  );
}

/** An installed gem's specification, which is a program: the lines that RubyGems writes into each. */
export function readGemspec(text: string, foundIn: string): readonly Package[] {
  const value = (key: string): string | undefined => new RegExp(`^ +s\\.${key} = "([^"]*)"`, 'mu').exec(text)?.[1];
  const version = value('version') ?? /^ +s\.version = Gem::Version\.new\("([^"]*)"/mu.exec(text)?.[1];
  const name = value('name');
  const licenses = [...(/^ +s\.licenses = \[(.*)\]/mu.exec(text)?.[1] ?? '').matchAll(/"([^"]+)"/gu)].map(([, license = '']) => license);
  return name === undefined || version === undefined
    ? []
    : [packageOf({ type: 'gem', name, version, licenses, homepage: value('homepage'), foundIn })];
}

const composerPackage = v.object({ name: v.string(), version: v.string(), license: v.optional(v.fallback(v.array(v.string()), [])) });
const composerShape = v.union([
  v.object({ packages: v.array(composerPackage), 'packages-dev': v.optional(v.array(composerPackage)) }),
  v.array(composerPackage),
]);

/** `composer.lock`, and `installed.json` of both versions. */
export function readComposer(text: string, foundIn: string): readonly Package[] {
  const parsed = v.safeParse(composerShape, parseJson(text));
  if (!parsed.success) return [];
  const list = Array.isArray(parsed.output) ? parsed.output : [...parsed.output.packages, ...(parsed.output['packages-dev'] ?? [])];
  return list.map(({ name, version, license }) => {
    const slash = name.indexOf('/');
    return packageOf({
      type: 'composer',
      ...(slash < 0 ? {} : { namespace: name.slice(0, slash) }),
      name: name.slice(slash + 1),
      version: version.replace(/^v(?=\d)/u, ''),
      licenses: license ?? [],
      foundIn,
    });
  });
}

/** `go.mod`: what is required. */
export function readGoMod(text: string, foundIn: string): readonly Package[] {
  const lines = text.split('\n');
  const found: Package[] = [];
  let isRequired = false;
  for (const line of lines) {
    if (line.startsWith('require (')) isRequired = true;
    else if (line.startsWith(')')) isRequired = false;
    const match = /^(?:require\s+|\s+)(?<path>[^\s()]+)\s+(?<version>v\S+)/u.exec(line)?.groups;
    if (match !== undefined && (isRequired || line.startsWith('require ')))
      found.push(goPackage(match['path'] ?? '', match['version'] ?? '', foundIn));
  }
  return found;
}

/** A Go module: all of its path but the last part is the namespace. */
export function goPackage(path: string, version: string, foundIn: string): Package {
  const slash = path.lastIndexOf('/');
  const named = slash < 0 ? { name: path } : { namespace: path.slice(0, slash), name: path.slice(slash + 1) };
  return packageOf({ type: 'golang', ...named, version, foundIn });
}

/** undefined for what is none: a file that nobody can read says nothing. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
