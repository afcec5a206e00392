/**
 * How long parsing, and parsing and linting, a Dockerfile of 10,000 lines takes, each in a fresh process, and what reading the sources of the
 * parser takes: `node test/bench/dockerfile.ts [--lines N] [--times N] [--library FILE]`. Processor time, of the thread that does it (what one waits
 * for on a quiet machine) and of the whole process (with V8's compiler and collector on the other core). `--library dist/library.js` is what users
 * have. With `--once FILE` it is that process.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import type * as library from '#languages/dockerfile/library.ts';

type Spent = { readonly thread: number; readonly all: number };
type Times = { readonly load: Spent; readonly work: Spent };
const works = ['parse', 'lint'] as const;

const { values } = parseArgs({
  options: {
    lines: { type: 'string', default: '10000' },
    times: { type: 'string', default: '7' },
    library: { type: 'string', default: '' },
    once: { type: 'string' },
    work: { type: 'string', default: 'lint' },
  },
});
if (values.once === undefined) compare(Number(values.lines), Number(values.times));
else console.log(JSON.stringify(await measure(values.once)));

function sum({ user, system }: NodeJS.CpuUsage): number {
  return (user + system) / 1000;
}

/** Starts a watch; what it gives says the milliseconds of the processor since then. */
function watch(): () => Spent {
  const [thread, all] = [process.threadCpuUsage(), process.cpuUsage()];
  return () => ({ thread: sum(process.threadCpuUsage(thread)), all: sum(process.cpuUsage(all)) });
}

async function measure(file: string): Promise<Times> {
  const text = readFileSync(file, 'utf8');
  const loading = watch();
  const url = values.library === '' ? '#languages/dockerfile/library.ts' : pathToFileURL(values.library).href;
  const { lintDockerfile, parseDockerfile }: typeof library = await import(url);
  const load = loading();
  const working = watch();
  const found = values.work === 'parse' ? parseDockerfile(text).diagnostics : lintDockerfile(text);
  const work = working();
  const fault = found.find(({ severity }) => severity === 'error');
  if (fault) throw new Error(fault.message);
  return { load, work };
}

function compare(lines: number, times: number): void {
  const folder = mkdtempSync(join(tmpdir(), 'jettison-dockerfile-'));
  try {
    const file = join(folder, 'Dockerfile');
    const text = generate(lines);
    writeFileSync(file, text);
    const all = { parse: [] as Times[], lint: [] as Times[] };
    for (let round = 0; round < times; round++) {
      for (const work of works) {
        const options = ['--once', file, '--work', work, '--library', values.library];
        all[work].push(JSON.parse(execFileSync(process.execPath, [import.meta.filename, ...options], { encoding: 'utf8' })) as Times);
      }
    }
    console.log(
      `${text.split('\n').length - 1} lines, ${text.length} characters; ms of the processor, median (least) of ${times} processes: its thread, all threads`,
    );
    show('load', all.lint, ({ load }) => load);
    show('parse', all.parse, ({ work }) => work);
    show('parse and lint', all.lint, ({ work }) => work);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function show(name: string, all: readonly Times[], part: (times: Times) => Spent): void {
  const columns = (['thread', 'all'] as const).map((key) => {
    const sorted = all.map((one) => part(one)[key]).toSorted((a, b) => a - b);
    return `${(sorted[sorted.length >> 1] ?? 0).toFixed(1)} (${(sorted[0] ?? 0).toFixed(1)})`.padEnd(16);
  });
  console.log(`${name.padEnd(16)}${columns.join('')}`.trimEnd());
}

/** Stages of 25 lines as people write them, each on the one before or on an image, until there are enough lines. */
function generate(lines: number): string {
  const out = ['# syntax=docker/dockerfile:1', 'ARG VERSION=1.22', 'ARG REGISTRY=docker.io/library'];
  for (let stage = 0; out.length < lines; stage++) out.push(...stageLines(stage));
  return `${out.slice(0, lines).join('\n')}\n`;
}

function stageLines(stage: number): readonly string[] {
  const base = stage % 4 === 0 ? `--platform=$BUILDPLATFORM \${REGISTRY}/golang:\${VERSION}-alpine` : `stage${stage - 1}`;
  return `
# stage${stage} does a part of the work
FROM ${base} AS stage${stage}
# MODE of the build
ARG MODE=release
ARG TARGETOS TARGETARCH
ENV PATH="/opt/part${stage}/bin:$PATH" CGO_ENABLED=0 \\
    MODE=$MODE
WORKDIR /src/part${stage}
LABEL org.opencontainers.image.title="part ${stage}" org.opencontainers.image.vendor='Somebody & Co'
COPY --link go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=secret,id=netrc,target=/root/.netrc \\
    go mod download -x && \\
    # what the next steps need
    apk add --no-cache git make \\
        gcc musl-dev
COPY --chown=1000:1000 --chmod=0755 . .
RUN GOOS=$TARGETOS GOARCH=$TARGETARCH go build -ldflags "-s -w -X main.version=\${VERSION}" -o /out/part${stage} ./cmd/part${stage}
COPY <<EOF /etc/part${stage}.conf
mode=$MODE
EOF
EXPOSE 8080/tcp
HEALTHCHECK --interval=30s --timeout=3s CMD ["/out/part${stage}", "health"]
USER 1000:1000
ENTRYPOINT ["/out/part${stage}", "--verbose"]
`
    .split('\n')
    .slice(1, -1);
}
