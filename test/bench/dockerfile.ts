/**
 * How long parsing and linting a Dockerfile of 10,000 lines takes, in processor time of a fresh process, and what of it is reading the
 * sources of the parser itself: `node test/bench/dockerfile.ts [--lines N] [--times N]`. With `--once FILE` it is that process.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

type Times = { readonly load: number; readonly parse: number; readonly lint: number };

const { values } = parseArgs({
  options: { lines: { type: 'string', default: '10000' }, times: { type: 'string', default: '7' }, once: { type: 'string' } },
});
if (values.once === undefined) compare(Number(values.lines), Number(values.times));
else console.log(JSON.stringify(await measure(values.once)));

/** Milliseconds of the processor. */
function spent(from: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(from);
  return (user + system) / 1000;
}

async function measure(file: string): Promise<Times> {
  const text = readFileSync(file, 'utf8');
  const start = process.cpuUsage();
  const { lintDockerfile, parseDockerfile } = await import('#languages/dockerfile/library.ts');
  const loaded = process.cpuUsage();
  const load = spent(start);
  parseDockerfile(text);
  const parse = spent(loaded);
  const parsed = process.cpuUsage();
  // The linter parses the text once more.
  const faults = lintDockerfile(text).filter(({ severity }) => severity === 'error');
  if (faults[0]) throw new Error(faults[0].message);
  return { load, parse, lint: spent(parsed) };
}

function compare(lines: number, times: number): void {
  const folder = mkdtempSync(join(tmpdir(), 'jettison-dockerfile-'));
  try {
    const file = join(folder, 'Dockerfile');
    const text = generate(lines);
    writeFileSync(file, text);
    const all = Array.from({ length: times }, () => {
      const printed = execFileSync(process.execPath, [import.meta.filename, '--once', file], { encoding: 'utf8' });
      return JSON.parse(printed) as Times;
    });
    console.log(
      `${text.split('\n').length - 1} lines, ${text.length} characters; ms of the processor, median (least) of ${times} processes`,
    );
    for (const key of ['load', 'parse', 'lint'] as const) {
      const sorted = all.map((one) => one[key]).toSorted((a, b) => a - b);
      console.log(`${key.padEnd(6)} ${(sorted[times >> 1] ?? 0).toFixed(1)} (${(sorted[0] ?? 0).toFixed(1)})`);
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
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
