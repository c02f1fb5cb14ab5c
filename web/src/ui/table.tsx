/** Tables. A long one has only the rows near the screen in the document. */

import type { ComponentChildren } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { words } from '../words/index.js';
import { Action } from './index.js';

export interface Column<Row> {
  title: string;
  /** Numbers, and the actions of a row, stand at the right. */
  isNumber?: boolean;
  /** Of a long table, whose columns must not depend on the rows in the document. */
  width?: string;
  /** Left out on a phone. */
  isWideOnly?: boolean;
  cell: (row: Row) => ComponentChildren;
}

interface TableProps<Row> {
  caption: string;
  columns: Column<Row>[];
  rows: Row[];
  rowKey: (row: Row, index: number) => string | number;
  /** Reads the next rows. */
  more?: (() => Promise<void>) | null;
  empty?: string;
  /** Thousands of rows: those far from the screen leave the document, and the next are read on scrolling. */
  isLong?: boolean;
}

/** Rows of a long table that enter and leave the document together. */
const CHUNK = 50;
/** Pixels above and below the screen in which rows are in the document. */
const MARGIN = '1000px 0px';

const classOf = ({ isNumber, isWideOnly }: Pick<Column<never>, 'isNumber' | 'isWideOnly'>): string | undefined =>
  [isNumber && 'number', isWideOnly && 'wide-only'].filter(Boolean).join(' ') || undefined;

/** A table that scrolls sideways within itself. */
export function Table<Row>({ caption, columns, rows, rowKey, more, empty, isLong = false }: TableProps<Row>) {
  if (rows.length === 0 && empty) return <p class="none">{empty}</p>;
  const size = isLong ? CHUNK : rows.length;
  const chunks = Array.from({ length: Math.ceil(rows.length / (size || 1)) }, (_, at) => rows.slice(at * size, (at + 1) * size));
  const drawn = (chunk: Row[], at: number) => chunk.map((row, index) => (
    <tr key={rowKey(row, at * size + index)}>{columns.map(({ cell, ...column }) => <td key={column.title} class={classOf(column)}>{cell(row)}</td>)}</tr>
  ));
  return (
    <>
      <div class="table" tabIndex={0} role="region" aria-label={caption}>
        <table class={isLong ? 'long' : undefined}>
          <caption class="spoken">{caption}</caption>
          <thead><tr>{columns.map(({ title, width, ...column }) => <th key={title} scope="col" class={classOf(column)} style={width ? { width } : undefined}>{title}</th>)}</tr></thead>
          {chunks.map((chunk, at) => (isLong ? <Chunk key={at} columns={columns.length}>{() => drawn(chunk, at)}</Chunk> : <tbody key={at}>{drawn(chunk, at)}</tbody>))}
        </table>
      </div>
      {more && <More run={more} isAutomatic={isLong} />}
    </>
  );
}

/** Rows that give way to an empty one of their height while they are far from the screen. */
function Chunk({ columns, children }: { columns: number; children: () => ComponentChildren }) {
  const body = useRef<HTMLTableSectionElement>(null);
  const [height, setHeight] = useState<number | null>(null);
  useEffect(() => {
    const look = ([entry]: IntersectionObserverEntry[]) => {
      // The rows may leave the page before a change of state is applied.
      const now = body.current?.offsetHeight ?? null;
      setHeight((before) => (entry!.isIntersecting ? null : (before ?? now)));
    };
    const observer = new IntersectionObserver(look, { rootMargin: MARGIN });
    observer.observe(body.current!);
    return () => observer.disconnect();
  }, []);
  return <tbody ref={body}>{height === null ? children() : <tr aria-hidden="true"><td colSpan={columns} style={{ height: `${height}px`, padding: 0 }} /></tr>}</tbody>;
}

function More({ run, isAutomatic }: { run: () => Promise<void>; isAutomatic: boolean }) {
  const line = useRef<HTMLParagraphElement>(null);
  useEffect(() => {
    if (!isAutomatic) return;
    const observer = new IntersectionObserver(([entry]) => entry!.isIntersecting && line.current?.querySelector('button')?.click(), { rootMargin: MARGIN });
    observer.observe(line.current!);
    return () => observer.disconnect();
  }, [isAutomatic]);
  return <p class="more" ref={line}><Action run={run}>{words.more}</Action></p>;
}
