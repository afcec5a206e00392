/** Progress as JSON lines in the form of BuildKit's SolveStatus (`client/graph.go`), as `docker buildx build --progress=rawjson` prints them: for programs. */
import type { Digest } from '#ground/base/digest.ts';
import { digestOf } from '#ground/base/digest.ts';
import { unreachable } from '#ground/base/errors.ts';
import type { ProgressEvent, TransferProgress } from '#formats/progress/event.ts';
import { shownImages, type Screen } from './screen.ts';
import { base64, readingVertex, vertexWarning, type WarningEvent } from './vertex-warning.ts';

type Vertex = {
  readonly digest: Digest;
  readonly inputs?: readonly Digest[];
  readonly name: string;
  readonly started?: string;
  readonly completed?: string;
  readonly cached?: true;
  readonly error?: string;
};

type SolveStatus = {
  readonly vertexes?: readonly Vertex[];
  readonly statuses?: readonly object[];
  readonly logs?: readonly object[];
  readonly warnings?: readonly object[];
};

/** `write` takes whole lines. */
export function createRawJsonScreen(write: (text: string) => void, now: () => number): Screen {
  const vertices = new Map<Digest, Vertex>();
  const put = (status: SolveStatus): void => write(`${JSON.stringify(status)}\n`);
  const change = (digest: Digest, more: Partial<Vertex>): void => {
    const vertex = { ...(vertices.get(digest) ?? { digest, name: digest }), ...more };
    vertices.set(digest, vertex);
    put({ vertexes: [vertex] });
  };
  const transfers = createTransfers(put, now);
  return {
    report(event) {
      const status = statusOf(event, { change, vertices, now });
      if (status !== undefined) put(status);
      else if (event.kind === 'transfer') transfers.take(event);
    },
    finish: (end) => {
      const images = shownImages(end);
      if (images.length === 0) return;
      const time = stamp(now());
      const lines = images.flatMap(({ imageId, names }) => [`writing image ${imageId}`, ...names.map((name) => `naming to ${name}`)]);
      const vertex = { digest: digestOf('exporting to image'), name: 'exporting to image', started: time, completed: time };
      const statuses = lines.map((id) => ({
        id,
        vertex: vertex.digest,
        current: 0,
        timestamp: time,
        started: time,
        completed: time,
      }));
      put({ vertexes: [vertex], statuses });
    },
    [Symbol.dispose]: () => {},
  };
}

type Tools = {
  readonly change: (digest: Digest, more: Partial<Vertex>) => void;
  readonly vertices: Map<Digest, Vertex>;
  readonly now: () => number;
};

/** What one event says; undefined when that is written another way. */
function statusOf(event: ProgressEvent, { change, vertices, now }: Tools): SolveStatus | undefined {
  switch (event.kind) {
    case 'vertex':
      change(event.vertex, { name: nameOf(event), ...(event.inputs === undefined ? {} : { inputs: event.inputs }) });
      return undefined;
    case 'vertex-started':
      change(event.vertex, { started: stamp(event.time) });
      return undefined;
    case 'vertex-cached':
      change(event.vertex, {
        started: vertices.get(event.vertex)?.started ?? stamp(event.time),
        completed: stamp(event.time),
        cached: true,
      });
      return undefined;
    case 'vertex-finished':
      change(event.vertex, { completed: stamp(event.time) });
      return undefined;
    case 'vertex-failed':
      change(event.vertex, { completed: stamp(event.time), error: event.cancelled ? 'context canceled' : event.message });
      return undefined;
    case 'output': {
      const stream = event.stream === 'stdout' ? 1 : 2;
      return { logs: [{ vertex: event.vertex, stream, data: base64(event.text), timestamp: stamp(event.time) }] };
    }
    case 'warning':
      return { ...readingOf(event, vertices, now), warnings: [vertexWarning(event)] };
    case 'note':
      return { logs: [{ stream: 2, data: base64(`${event.text}\n`), timestamp: stamp(now()) }] };
    case 'transfer':
      return undefined;
    default:
      return unreachable(event, 'progress event');
  }
}

/** The vertex that a warning is of, before its first one: reading the Dockerfile is none of the graph's. */
function readingOf(event: WarningEvent, vertices: Map<Digest, Vertex>, now: () => number): SolveStatus {
  const reading = readingVertex(event);
  if (reading === undefined || vertices.has(reading.digest)) return {};
  const vertex = { ...reading, started: stamp(now()), completed: stamp(now()) };
  vertices.set(vertex.digest, vertex);
  return { vertexes: [vertex] };
}

const movements: Readonly<Record<TransferProgress['direction'], string>> = {
  pull: 'downloading',
  unpack: 'extracting',
  push: 'pushing',
  compress: 'compressing',
  write: 'writing',
};

/** Transfers as statuses of the vertex that they are for; the others of one vertex for each direction, which is begun with the first of its kind. */
function createTransfers(put: (status: SolveStatus) => void, now: () => number) {
  const started = new Map<string, string>();
  const others = new Set<TransferProgress['direction']>();
  return {
    take(event: TransferProgress): void {
      const time = stamp(now());
      const { direction, item } = event;
      const name = movements[direction];
      const vertex = event.vertex ?? digestOf(direction);
      const isFirst = event.vertex === undefined && !others.has(direction);
      if (isFirst) others.add(direction);
      const key = `${vertex} ${direction} ${item}`;
      const begun = started.get(key) ?? time;
      started.set(key, begun);
      const isOver = event.state !== 'waiting' && event.state !== 'running';
      put({
        ...(isFirst ? { vertexes: [{ digest: vertex, name: direction, started: time }] } : {}),
        statuses: [
          {
            // As BuildKit names them: a blob that comes by its digest alone.
            id: direction === 'pull' ? item : `${name} ${item}`,
            vertex,
            name,
            ...(event.total > 0 ? { total: event.total } : {}),
            current: event.current,
            timestamp: time,
            started: begun,
            ...(isOver ? { completed: time } : {}),
          },
        ],
      });
    },
  };
}

function nameOf(event: Extract<ProgressEvent, { readonly kind: 'vertex' }>): string {
  const place = event.step === undefined ? '' : `${event.step}/${event.steps ?? event.step}`;
  const label = [event.stage ?? '', place].filter((part) => part !== '').join(' ');
  return label === '' ? event.text : `[${label}] ${event.text}`;
}

function stamp(milliseconds: number): string {
  return new Date(milliseconds).toISOString();
}
