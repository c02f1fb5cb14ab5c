/** The reason for an image's rank: as a sentence, and as the parts of its score. */

import { words } from '../words/index.js';
import { percent } from './format.js';

export interface Explanation {
  strategy: string;
  position?: number | null;
  views: number;
  clicks: number;
  counted_views: number;
  counted_clicks: number;
  guard: boolean;
  view_weight: number;
  click_weight: number;
  prior_mean: number;
  m: number;
  boost: number;
  pin?: number | null;
  score: number;
  age_factor: number;
}

const text = words.photo;

/** The sentence. */
export function whySentence(why: Explanation): string {
  const { position: place, pin, boost, strategy } = why;
  if (pin) return text.whyPinned(pin);
  if (!place) return text.unpublished;
  const boosted = boost === 1 ? '' : ` ${text.whyBoost(boost.toLocaleString())}`;
  if (strategy === 'newest') return text.whyNewest + boosted;
  if (strategy === 'weight') {
    const [views, clicks] = why.guard ? [why.counted_views, why.counted_clicks] : [why.views, why.clicks];
    return text.whyWeight(place, views, clicks, why.click_weight / Math.max(1, why.view_weight)) + boosted;
  }
  if (strategy === 'ctr') return text.whyRate(place, why.views, why.clicks, percent(why.score)) + boosted;
  if (strategy.startsWith('interest')) return text.whyInterest(place, percent(why.m), percent(why.prior_mean)) + boosted;
  return text.whyOther(place, why.score.toLocaleString(undefined, { maximumFractionDigits: 3 })) + boosted;
}

/** The parts that the score adds up from, each at least 0; none where the score is no sum. */
export function whyParts(why: Explanation): { label: string; value: number }[] {
  if (why.strategy === 'weight') {
    const [views, clicks] = why.guard ? [why.counted_views, why.counted_clicks] : [why.views, why.clicks];
    return [
      { label: text.fromViews, value: views * why.view_weight * why.boost },
      { label: text.fromClicks, value: clicks * why.click_weight * why.boost },
    ];
  }
  if (!why.strategy.startsWith('interest')) return [];
  const known = why.m * why.age_factor * why.boost;
  return [{ label: text.known, value: Math.max(0, Math.min(known, why.score)) }, { label: text.unsure, value: Math.max(0, why.score - known) }];
}
