/** The document of `jettison check --json` from what was found. */
import type { PayloadCheck } from '#engine/payload-requests.ts';
import type { CheckDocument } from './check.ts';

export function checkDocument({ imageId, platform, findings, programs, lines, dockerfile }: PayloadCheck): CheckDocument {
  return {
    version: 1,
    image: imageId,
    platform,
    dockerfile: dockerfile ?? null,
    programs,
    findings: findings.map(({ rule, severity, root, file, message, missing, hint, origin, fixes }) => ({
      rule,
      severity,
      root,
      file: file ?? null,
      message,
      missing: missing ?? null,
      hint: hint ?? null,
      origin: origin === undefined ? null : { instruction: origin.text, stage: origin.stage ?? null, line: origin.line ?? null },
      fixes: fixes.map(({ stage, source, destination, line }) => ({ stage, source, destination, line })),
    })),
    lines: [...lines],
  };
}
