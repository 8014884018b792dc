import type { DropReason } from './tally.js';

/** What became of a row that is not in the mix, or is with a flaw. Rows that the draw passed over have no remark. */
export interface RowRemark {
  readonly source: string;
  /** The row's id; of a row that could not be read, its place. */
  readonly row: string;
  readonly fate: 'skipped' | 'dropped' | 'kept';
  readonly reason: DropReason;
  readonly detail: string;
}

/** A row that no schema could take and the recipe skips, told by whoever reads the samples. */
export interface SkippedRow {
  readonly source: string;
  readonly place: string;
  readonly reason: string;
  /** Samples read before it: reading runs ahead, and remarks keep the order of rows. */
  readonly after: number;
}

/** More remarks than this nobody reads; the manifest counts them all. */
const MOST_REMARKS = 100_000;

/** The first remarks of a build, in the order of its rows. */
export interface RemarkList {
  readonly remarks: readonly RowRemark[];
  add(remark: RowRemark): void;
}

export function createRemarks(): RemarkList {
  const remarks: RowRemark[] = [];
  return {
    remarks,
    add: (remark) => {
      if (remarks.length < MOST_REMARKS) remarks.push(remark);
    },
  };
}

/** As JSON Lines. */
export function remarkLines(remarks: readonly RowRemark[]): string {
  return remarks.map((remark) => `${JSON.stringify(remark)}\n`).join('');
}
