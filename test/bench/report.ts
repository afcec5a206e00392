/** Figures of many runs as a table in Markdown, and as JSON. */
import type { Run } from './rounds.ts';
import { memoryGoal, type Goal, type Workload } from './workloads.ts';

export type Figure = {
  readonly runs: number;
  readonly failed: number;
  /** Seconds. */
  readonly median: number;
  readonly least: number;
  readonly most: number;
  /** Bytes: the largest of all runs. */
  readonly sum: number;
  readonly largest: number;
};

/** Figures of the runs that succeeded; undefined where none did. */
export function figureOf(runs: readonly Run[]): Figure | undefined {
  const good = runs.filter((run) => run.status === 0);
  const times = good.map((run) => run.seconds).toSorted((a, b) => a - b);
  const [least, most, middle, below] = [times[0], times.at(-1), times[times.length >> 1], times[(times.length - 1) >> 1]];
  if (least === undefined || most === undefined || middle === undefined || below === undefined) return undefined;
  return {
    runs: good.length,
    failed: runs.length - good.length,
    median: (middle + below) / 2,
    least,
    most,
    sum: Math.max(...good.map((run) => run.memory.sum)),
    largest: Math.max(...good.map((run) => run.memory.largest)),
  };
}

/** A row for each workload and variant; each peer's ratio says how many times longer it took than the first builder. */
export function tableOf(runs: readonly Run[], builders: readonly string[]): string {
  const [own = '', ...peers] = builders;
  const head = ['', own, ...peers.flatMap((name) => [name, `${name}/${own}`]), ...builders.map((name) => `memory ${name}`)];
  const rows = unique(runs.map((run) => `${run.workload} ${run.variant}`)).map((row) => {
    const of = (name: string): readonly Run[] => runs.filter((run) => `${run.workload} ${run.variant}` === row && run.builder === name);
    const ours = figureOf(of(own));
    const others = peers.flatMap((name) => {
      const figure = figureOf(of(name));
      return [timeCell(of(name)), figure && ours ? (figure.median / ours.median).toFixed(1) : '-'];
    });
    return [row, timeCell(of(own)), ...others, ...builders.map((name) => memoryCell(figureOf(of(name))))];
  });
  const widths = head.map((title, column) => Math.max(title.length, 3, ...rows.map((row) => row[column]?.length ?? 0)));
  const line = (cells: readonly string[]): string => `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`;
  return [line(head), line(widths.map((width) => '-'.repeat(width))), ...rows.map(line)].join('\n');
}

/** One line for each goal of the workloads that ran: reached or missed, and by how much. */
export function goalLines(runs: readonly Run[], chosen: readonly Workload[]): readonly string[] {
  const times = chosen.flatMap((workload) => workload.goals.flatMap((goal) => goalLine(runs, workload, goal)));
  const sum = Math.max(0, ...runs.map((run) => run.memory.sum));
  const most = runs.find((run) => run.memory.sum === sum);
  if (most === undefined) return times;
  const verdict = sum < memoryGoal ? 'reached' : 'MISSED';
  return [
    ...times,
    `${verdict}: peak memory under ${megabytes(memoryGoal)} MB in all: ${megabytes(sum)} MB at most (${most.workload} ${most.variant})`,
  ];
}

function goalLine(runs: readonly Run[], workload: Workload, goal: Goal): readonly string[] {
  const figure = figureOf(runs.filter((run) => run.workload === workload.name && run.variant === goal.variant));
  if (figure === undefined) return [`MISSED: ${goal.text}: no run succeeded`];
  return [
    `${figure.median <= goal.seconds ? 'reached' : 'MISSED'}: ${goal.text}: ${seconds(figure.median)} s (${workload.name} ${goal.variant})`,
  ];
}

function timeCell(runs: readonly Run[]): string {
  const figure = figureOf(runs);
  if (figure === undefined) return runs.length > 0 ? 'failed' : '-';
  const failed = figure.failed > 0 ? `, ${figure.failed} failed` : '';
  return `${seconds(figure.median)} (${seconds(figure.least)}-${seconds(figure.most)}${failed})`;
}

function memoryCell(figure: Figure | undefined): string {
  return figure === undefined ? '-' : `${megabytes(figure.sum)} (${megabytes(figure.largest)})`;
}

export function seconds(value: number): string {
  return value >= 10 ? value.toFixed(1) : value >= 1 ? value.toFixed(2) : value.toFixed(3);
}

export function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(0);
}

function unique(items: readonly string[]): readonly string[] {
  return [...new Set(items)];
}
