//! The hold-out: a share of the visitors sees a control order, which measures what the strategy brings.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::score::hash_of;
use crate::{GalleryId, Strategy};

/// The order that the visitors of the control group see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Control {
    #[default]
    Newest,
    Weight,
}

impl Control {
    /// What a message lists when a name is none of them.
    pub const NAMES: &'static str = "newest or weight";

    pub const fn strategy(self) -> Strategy {
        match self {
            Control::Newest => Strategy::Newest,
            Control::Weight => Strategy::Weight,
        }
    }

    pub const fn as_str(self) -> &'static str {
        self.strategy().as_str()
    }

    pub fn parse(text: &str) -> Option<Self> {
        [Control::Newest, Control::Weight].into_iter().find(|control| control.as_str() == text)
    }
}

/// One comparison, to which figures belong. Another share, strategy or control starts new figures; changing back
/// continues the old ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Holdout {
    /// The percentage of visitors in the control group; above 0.
    pub percent: u8,
    pub treatment: Strategy,
    pub control: Strategy,
}

/// The least numbers in either arm before a lift is reported.
const VISITORS_MIN: u64 = 100;
pub(super) const CLICKS_MIN: u64 = 50;
/// If arms this unequal are less likely than this, something else than the order differs.
const SAMPLE_RATIO_MIN: f64 = 0.001;
/// Standard deviations of a 95 % interval.
pub(super) const TWO_SIDED_95: f64 = 1.959_963_984_540_054;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Arm {
    Control,
    Treatment,
}

impl Arm {
    pub const fn as_str(self) -> &'static str {
        match self {
            Arm::Control => "control",
            Arm::Treatment => "treatment",
        }
    }
}

impl Holdout {
    /// The arm of a visitor of the gallery, always the same for the same share.
    pub fn arm_of(self, gallery_id: GalleryId, visitor: &str) -> Arm {
        let drawn = hash_of(gallery_id.0.as_bytes().iter().chain(visitor.as_bytes())) % 10_000;
        if drawn < u64::from(self.percent) * 100 { Arm::Control } else { Arm::Treatment }
    }

    /// The order that the arm sees.
    pub const fn strategy(self, arm: Arm) -> Strategy {
        match arm {
            Arm::Control => self.control,
            Arm::Treatment => self.treatment,
        }
    }
}

/// Sums over an arm's visitors of their sessions `s` and their clicks `c`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ArmSums {
    pub visitors: u64,
    pub sessions: u64,
    pub views: u64,
    pub clicks: u64,
    pub sessions_squared: f64,
    pub clicks_squared: f64,
    pub sessions_clicks: f64,
}

impl ArmSums {
    pub fn clicks_per_session(&self) -> Option<f64> {
        (self.sessions > 0).then(|| self.clicks as f64 / self.sessions as f64)
    }

    /// The variance of clicks per session. Visitors are the independent units (delta method for a ratio of means; Deng,
    /// Knoblich and Lu 2018).
    fn variance(&self) -> Option<f64> {
        let ratio = self.clicks_per_session()?;
        if self.visitors < 2 {
            return None;
        }
        let visitors = self.visitors as f64;
        let (sessions, clicks) = (self.sessions as f64 / visitors, self.clicks as f64 / visitors);
        let spread = |squares: f64, a: f64, b: f64| (squares - visitors * a * b) / (visitors - 1.0);
        let of_sessions = spread(self.sessions_squared, sessions, sessions);
        let of_clicks = spread(self.clicks_squared, clicks, clicks);
        let together = spread(self.sessions_clicks, sessions, clicks);
        let variance = of_clicks - 2.0 * ratio * together + ratio * ratio * of_sessions;
        Some(variance.max(0.0) / (visitors * sessions * sessions))
    }
}

/// The present result of a hold-out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outcome {
    /// The relative difference in clicks per session: `(treatment - control) / control`.
    pub lift: Option<f64>,
    /// The 95 % interval of the lift.
    pub interval: Option<(f64, f64)>,
    /// The probability of arms at least this unequal if visitors are drawn by the share.
    pub sample_ratio_p: Option<f64>,
    pub sample_ratio_ok: bool,
    pub enough: bool,
}

pub fn outcome(treatment: &ArmSums, control: &ArmSums, holdout_percent: u8) -> Outcome {
    let enough = [treatment, control].iter().all(|arm| arm.visitors >= VISITORS_MIN && arm.clicks >= CLICKS_MIN);
    let ratios = treatment.clicks_per_session().zip(control.clicks_per_session()).filter(|(a, b)| *a > 0.0 && *b > 0.0);
    let interval = ratios.and_then(|(a, b)| {
        let deviation = (treatment.variance()? / (a * a) + control.variance()? / (b * b)).sqrt();
        let bound = |sign: f64| ((a / b).ln() + sign * TWO_SIDED_95 * deviation).exp() - 1.0;
        Some((bound(-1.0), bound(1.0)))
    });
    let visitors = (treatment.visitors + control.visitors) as f64;
    let expected = visitors * f64::from(holdout_percent) / 100.0;
    let sample_ratio_p = (expected > 0.0 && expected < visitors).then(|| {
        let off = control.visitors as f64 - expected;
        let chi_squared = off * off / expected + off * off / (visitors - expected);
        libm::erfc((chi_squared / 2.0).sqrt())
    });
    Outcome {
        lift: ratios.map(|(a, b)| a / b - 1.0),
        interval,
        sample_ratio_p,
        sample_ratio_ok: sample_ratio_p.is_none_or(|p| p >= SAMPLE_RATIO_MIN),
        enough,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Ranking;
    use uuid::Uuid;

    /// Visitors with so many sessions and clicks each.
    fn arm(visitors: impl Iterator<Item = (u64, u64)>) -> ArmSums {
        visitors.fold(ArmSums::default(), |mut sums, (sessions, clicks)| {
            sums.visitors += 1;
            sums.sessions += sessions;
            sums.clicks += clicks;
            sums.sessions_squared += (sessions * sessions) as f64;
            sums.clicks_squared += (clicks * clicks) as f64;
            sums.sessions_clicks += (sessions * clicks) as f64;
            sums
        })
    }

    #[test]
    fn a_share_of_the_visitors_is_held_out_and_each_stays_where_it_is() {
        let gallery_id = GalleryId(Uuid::from_u128(9));
        let ranking = Ranking { holdout_percent: 5, ..Ranking::default() };
        let by_weight = Ranking { holdout_control: Control::Weight, strategy: Strategy::Interest, ..ranking };
        let [holdout, other] = [ranking, by_weight].map(|ranking| ranking.holdout().expect("a hold-out"));
        let held_out: Vec<String> = (0..20_000)
            .map(|number| format!("visitor {number}"))
            .filter(|visitor| holdout.arm_of(gallery_id, visitor) == Arm::Control)
            .collect();
        assert!((850..1_150).contains(&held_out.len()), "{}", held_out.len());
        assert!(held_out.iter().all(|visitor| other.arm_of(gallery_id, visitor) == Arm::Control));
        assert_eq!(
            (holdout.strategy(Arm::Control), holdout.strategy(Arm::Treatment)),
            (Strategy::Newest, Strategy::Weight)
        );
        assert_eq!(
            (other.strategy(Arm::Control), other.strategy(Arm::Treatment)),
            (Strategy::Weight, Strategy::Interest)
        );
        assert_eq!(Ranking::default().holdout(), None);
    }

    #[test]
    fn a_difference_is_found_and_its_interval_holds_it() {
        let treatment = arm((0..2_000).map(|number| (1 + number % 3, number % 4)));
        let control = arm((0..2_000).map(|number| (1 + number % 3, number % 2)));
        let found = outcome(&treatment, &control, 50);
        let lift = found.lift.expect("a lift");
        let (low, high) = found.interval.expect("an interval");
        assert!((lift - 2.0).abs() < 0.01, "{lift}");
        assert!(low < lift && lift < high && low > 1.7 && high < 2.3, "{low} to {high}");
        assert!(found.enough && found.sample_ratio_ok);
    }

    #[test]
    fn arms_of_the_wrong_sizes_are_told_and_few_visitors_are_not_enough() {
        let some = arm((0..300).map(|_| (1, 1)));
        let many = arm((0..2_000).map(|_| (1, 1)));
        assert!(!outcome(&many, &some, 50).sample_ratio_ok);
        assert!(!outcome(&arm((0..20).map(|_| (1, 1))), &some, 50).enough);
        let nothing = outcome(&ArmSums::default(), &ArmSums::default(), 5);
        assert_eq!((nothing.lift, nothing.interval, nothing.enough), (None, None, false));
    }
}
