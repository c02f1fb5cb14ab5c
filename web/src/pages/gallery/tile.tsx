import { Component } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { paint, type Box } from '../../../../clients/js/src/shared/index.js';
import { short } from '../../lib/format.js';
import { withoutQuery } from '../../lib/pictures.js';
import { soon } from '../../lib/soon.js';
import { words } from '../../words/index.js';
import { nameOf, type Item } from './model.js';

/** Pixels below which the numbers stand closer, and below which the weight stands alone. */
const NARROW = 170;
const TINY = 140;

interface TileProps {
  item: Item;
  box: Box;
  index: number;
  count: number;
  href: string;
  isTabStop: boolean;
  isSelected: boolean;
  isEager: boolean;
  onFocus: (index: number) => void;
  onPick: (index: number, isRange: boolean) => void;
}

const isSame = (one: unknown, other: unknown): boolean => one === other || JSON.stringify(one) === JSON.stringify(other);

/** A tile is drawn again only if one of its properties changed, because thousands pass by. */
export class Tile extends Component<TileProps> {
  override shouldComponentUpdate(next: TileProps): boolean {
    return (Object.keys(next) as (keyof TileProps)[]).some((name) => (name === 'box' ? !isSame(next.box, this.props.box) : next[name] !== this.props[name]));
  }

  override render(props: TileProps) {
    return <Drawn {...props} />;
  }
}

function Drawn({ item, box, index, count, href, isTabStop, isSelected, isEager, onFocus, onPick }: TileProps) {
  const name = nameOf(item) ?? words.gallery.unnamed;
  const onClick = (event: MouseEvent) => {
    if (!event.shiftKey) return;
    event.preventDefault();
    onPick(index, true);
  };
  const style = { left: `${box.left}px`, top: `${box.top}px`, width: `${box.width}px`, height: `${box.height}px` };
  const room = box.width < TINY ? ' tiny' : box.width < NARROW ? ' narrow' : '';
  return (
    <li class={`tile${room}${isSelected ? ' selected' : ''}`} data-id={item.image_id} data-index={index} style={style} aria-setsize={count} aria-posinset={index + 1}>
      <a href={href} tabIndex={isTabStop ? 0 : -1} draggable={false} aria-description={numbersOf(item)} onFocus={() => onFocus(index)} onClick={onClick}>
        <Picture item={item} name={name} sizes={`${Math.ceil(box.width)}px`} isEager={isEager} />
        <Numbers item={item} />
      </a>
      <input
        type="checkbox" class="pick" tabIndex={-1} checked={isSelected} aria-label={words.gallery.select(name)}
        onClick={(event) => (event.preventDefault(), onPick(index, event.shiftKey))}
      />
    </li>
  );
}

/** The picture over its blurred placeholder. A picture that cannot be had leaves its name. */
export function Picture({ item, name, sizes, isEager }: { item: Item; name: string; sizes: string; isEager: boolean }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const wanted = item.srcset ?? item.url ?? item.preview;
  const [settled, setSettled] = useState<{ source: string; isBroken: boolean } | null>(null);
  useEffect(() => soon(() => canvas.current && paint(canvas.current, item.thumbhash)), [item.thumbhash]);
  // A fresh signature on the same bytes loads nothing again: the addresses of the first one stay.
  const kept = useRef(item);
  if (withoutQuery(kept.current.srcset ?? kept.current.url) !== withoutQuery(item.srcset ?? item.url) || settled?.isBroken) kept.current = item;
  const { srcset, srcset_webp: webp, preview, url } = kept.current;
  const source = withoutQuery(wanted);
  const state = settled?.source === source ? (settled.isBroken ? 'picture broken' : 'picture loaded') : 'picture';
  return (
    <span class={state}>
      {item.thumbhash && <canvas ref={canvas} width={1} height={1} aria-hidden="true" />}
      <picture>
        {webp && <source type="image/webp" srcset={webp} sizes={sizes} />}
        <img
          alt={name} decoding="async" loading={isEager ? 'eager' : 'lazy'} sizes={sizes} srcset={srcset ?? undefined}
          src={(srcset ? preview : url) ?? preview ?? undefined}
          onLoad={() => setSettled({ source, isBroken: false })} onError={() => setSettled({ source, isBroken: true })}
        />
      </picture>
      {settled?.isBroken && <span class="picture-name" aria-hidden="true">{name}</span>}
    </span>
  );
}

/** The numbers in words, for those who do not see the glyphs. */
const numbersOf = ({ weight, views, clicks }: Item): string | undefined =>
  (weight === undefined || views === undefined || clicks === undefined ? undefined : words.gallery.numbers(weight, views, clicks));

function Numbers({ item }: { item: Item }) {
  const { weight, views, clicks } = item;
  // A number that has just come into the document is no news.
  const first = useRef(weight);
  const [isFresh, setFresh] = useState(false);
  if (!isFresh && weight !== first.current) setFresh(true);
  if (weight === undefined || views === undefined || clicks === undefined) return null;
  return (
    <span class="numbers" aria-hidden="true">
      <span key={weight} class={isFresh ? 'weight fresh' : 'weight'}>{short(weight)}</span>
      <span class="views">{short(views)}</span>
      <span class="clicks">{short(clicks)}</span>
    </span>
  );
}

export function Glyph({ name }: { name: 'weight' | 'eye' | 'click' }) {
  return (
    <svg viewBox="0 0 16 16" aria-hidden="true" fill="none" stroke="currentColor" stroke-width="1.6">
      {name === 'weight' && <path d="M8 13V3M3.5 7.5 8 3l4.5 4.5" />}
      {name === 'eye' && <path d="M1 8s2.6-4.5 7-4.5S15 8 15 8s-2.6 4.5-7 4.5S1 8 1 8Zm9 0a2 2 0 1 1-4 0 2 2 0 0 1 4 0Z" />}
      {name === 'click' && <path d="M4 2.5 13 8l-4.2.9L6.5 13 4 2.5Z" fill="currentColor" stroke="none" />}
    </svg>
  );
}
