/** The rooms of `src/`, bottom to top, each with the rooms it may import. The order itself forbids circles: a room names only rooms above its own line. */
export const floors = {
  ground: ['base', 'linux'],
  formats: ['oci', 'tar', 'graph', 'progress', 'packages', 'provenance', 'origins', 'elf', 'payload'],
  languages: ['frontend', 'dockerfile', 'tutorial'],
  stores: [
    'db',
    'events',
    'ssh',
    'content',
    'registry',
    'distribution',
    'object',
    'transfer',
    'context',
    'snapshot',
    'layer',
    'files',
    'image',
    'volume',
  ],
  execution: ['network', 'runtime', 'cache', 'solver', 'builds', 'ops', 'worker', 'container', 'exporter', 'replay'],
  engine: ['engine'],
  faces: ['documents', 'library', 'cli'],
} as const satisfies Record<string, readonly string[]>;

export const rooms: Readonly<Record<string, string>> = {
  // ground
  base: '',
  linux: 'base',
  // formats
  oci: 'base',
  tar: 'base',
  graph: 'base',
  progress: 'base',
  packages: 'base',
  provenance: 'base oci graph',
  origins: 'base graph',
  elf: 'base',
  payload: 'base elf',
  // languages
  frontend: 'base oci graph',
  dockerfile: 'base oci graph frontend',
  tutorial: 'base',
  // stores
  db: 'base',
  events: 'base db',
  ssh: 'base linux',
  content: 'base oci db',
  registry: 'base linux oci',
  distribution: 'base oci db content',
  object: 'base oci registry',
  transfer: 'base oci progress content registry',
  context: 'base linux tar db registry',
  snapshot: 'base linux db',
  layer: 'base linux oci tar provenance content snapshot',
  files: 'base linux tar snapshot layer',
  image: 'base oci tar db content',
  volume: 'base linux db',
  // execution
  network: 'base linux db',
  runtime: 'base linux oci elf',
  cache: 'base oci graph db content transfer',
  solver: 'base graph progress cache',
  builds: 'base frontend graph progress db context cache solver',
  ops: 'base linux oci tar graph progress packages origins elf payload content registry transfer context snapshot layer files runtime',
  worker: 'base linux oci graph progress origins db content context snapshot layer files volume runtime ops',
  container: 'base oci progress db content files image worker network',
  exporter: 'base oci tar progress provenance content registry transfer image cache worker',
  replay: 'base linux tutorial',
  // engine
  engine:
    'base oci graph progress packages provenance origins elf payload frontend dockerfile db events ssh content registry distribution object transfer context files image volume network cache solver builds worker container exporter tutorial replay',
  // faces
  documents: 'base engine',
  library: 'base tar progress worker engine documents',
  cli: 'base oci progress engine worker documents',
};

/** Rooms without any `node:` module: text and bytes in, values out. */
export const pureRooms: ReadonlySet<string> = new Set([
  'oci',
  'tar',
  'graph',
  'progress',
  'packages',
  'provenance',
  'origins',
  'elf',
  'payload',
  'frontend',
  'dockerfile',
  'tutorial',
]);

/** Packages without any effect that pure rooms may import: shapes of documents. */
export const purePackages: ReadonlySet<string> = new Set(['valibot']);

/** `node:` modules that only some rooms may import. */
export const reservedModules: Readonly<Record<string, readonly string[]>> = {
  'node:child_process': ['linux'],
  'node:sqlite': ['db'],
  'node:http': ['registry', 'distribution', 'context', 'worker'],
  'node:https': ['registry', 'distribution', 'context', 'worker'],
  'node:net': ['linux', 'network', 'worker', 'distribution'],
  'node:http2': [],
};

/** The picture of docs/architecture.md: one arrow per pair of rooms that is not already implied by a longer way. */
export function drawMermaid(): string {
  const below = new Map<string, ReadonlySet<string>>();
  const arrows: string[] = [];
  for (const [room, list] of Object.entries(rooms)) {
    const direct = list.split(' ').filter((other) => other !== '');
    const reached = new Set(direct.flatMap((other) => [...(below.get(other) ?? [])]));
    below.set(room, new Set([...direct, ...reached]));
    for (const other of direct) if (!reached.has(other)) arrows.push(`  ${room} --> ${other}`);
  }
  const groups = Object.entries(floors).map(
    ([floor, list]) => `  subgraph ${floor}_floor [${floor}]\n${list.map((room) => `    ${room}`).join('\n')}\n  end`,
  );
  return ['graph TD', ...groups.toReversed(), ...arrows].join('\n');
}
