//! Hold-outs: what the sessions of each arm of a gallery did, one row a session.

use std::collections::{BTreeMap, BTreeSet};

use eyeline_core::event::ActKind;
use eyeline_core::ranking::experiment::{Arm, ArmSums, arm_of};
use eyeline_core::ranking::hash_of;
use eyeline_core::{GalleryId, Ranking, SessionId};
use futures::FutureExt as _;

use super::Catalog;
use crate::error::Result;
use crate::params;
use crate::sql::{Tx, Value};

/// The sums of both arms of a hold-out.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct HoldoutSums {
    pub treatment: ArmSums,
    pub control: ArmSums,
}

impl Catalog {
    /// What the visitors of both arms have done while the hold-out was of this share.
    pub async fn holdout_sums(&self, gallery_id: GalleryId, holdout_percent: u8) -> Result<HoldoutSums> {
        let sql = "SELECT control, count(*) AS visitors,
                          CAST(sum(sessions) AS BIGINT) AS sessions, CAST(sum(views) AS BIGINT) AS views,
                          CAST(sum(clicks) AS BIGINT) AS clicks,
                          CAST(sum(sessions * sessions) AS DOUBLE PRECISION) AS sessions_squared,
                          CAST(sum(clicks * clicks) AS DOUBLE PRECISION) AS clicks_squared,
                          CAST(sum(sessions * clicks) AS DOUBLE PRECISION) AS sessions_clicks
                   FROM (SELECT control, visitor, count(*) AS sessions, CAST(sum(views) AS BIGINT) AS views,
                                CAST(sum(clicks) AS BIGINT) AS clicks
                         FROM holdout_sessions
                         WHERE gallery_id = $1 AND percent = $2
                         GROUP BY control, visitor) AS v
                   GROUP BY control";
        self.db
            .read(move |tx| {
                async move {
                    let mut sums = HoldoutSums::default();
                    for mut row in tx.query(sql, params![gallery_id, i64::from(holdout_percent)]).await? {
                        let arm = if row.take("control")? { &mut sums.control } else { &mut sums.treatment };
                        *arm = ArmSums {
                            visitors: row.take("visitors")?,
                            sessions: row.take("sessions")?,
                            views: row.take("views")?,
                            clicks: row.take("clicks")?,
                            sessions_squared: row.take("sessions_squared")?,
                            clicks_squared: row.take("clicks_squared")?,
                            sessions_clicks: row.take("sessions_clicks")?,
                        };
                    }
                    Ok(sums)
                }
                .boxed()
            })
            .await
    }
}

/// What a batch adds to the sessions of hold-outs.
#[derive(Default)]
pub(super) struct HoldoutDeltas {
    deltas: BTreeMap<(GalleryId, u8, SessionId), SessionDelta>,
    /// Sessions that are no visitors'.
    gone: BTreeSet<(GalleryId, u8, SessionId)>,
}

struct SessionDelta {
    arm: Arm,
    visitor: i64,
    views: i64,
    clicks: i64,
}

impl HoldoutDeltas {
    pub fn add(
        &mut self,
        gallery_id: GalleryId,
        ranking: Ranking,
        session_id: SessionId,
        visitor_id: Option<&str>,
        kind: ActKind,
    ) {
        let percent = ranking.holdout_percent;
        if percent == 0 {
            return;
        }
        let visitor = visitor_id.map_or_else(|| session_id.to_string(), str::to_owned);
        let Some(arm) = arm_of(gallery_id, &visitor, percent) else { return };
        let visitor = hash_of(visitor.as_bytes()).cast_signed();
        let delta = SessionDelta { arm, visitor, views: 0, clicks: 0 };
        let delta = self.deltas.entry((gallery_id, percent, session_id)).or_insert(delta);
        match kind {
            ActKind::View => delta.views += 1,
            ActKind::Click => delta.clicks += 1,
        }
    }

    /// Leaves a session out, with what it did before.
    pub fn leave_out(&mut self, gallery_id: GalleryId, ranking: Ranking, session_id: SessionId) {
        if ranking.holdout_percent > 0 {
            self.deltas.remove(&(gallery_id, ranking.holdout_percent, session_id));
            self.gone.insert((gallery_id, ranking.holdout_percent, session_id));
        }
    }

    pub async fn write(self, tx: &mut Tx) -> Result<()> {
        let gone = self.gone.into_iter();
        let gone: Vec<Vec<Value>> = gone
            .map(|(gallery_id, percent, session_id)| params![gallery_id, i64::from(percent), session_id].to_vec())
            .collect();
        let sql = "DELETE FROM holdout_sessions WHERE (gallery_id, percent, session_id) IN (VALUES {rows})";
        tx.execute_rows(sql, &gone).await?;
        let rows: Vec<Vec<Value>> = self
            .deltas
            .into_iter()
            .map(|((gallery_id, percent, session_id), delta)| {
                let SessionDelta { arm, visitor, views, clicks } = delta;
                let control = arm == Arm::Control;
                params![gallery_id, i64::from(percent), session_id, visitor, control, views, clicks].to_vec()
            })
            .collect();
        let sql = "INSERT INTO holdout_sessions (gallery_id, percent, session_id, visitor, control, views, clicks)
                   VALUES {rows}
                   ON CONFLICT (gallery_id, percent, session_id)
                   DO UPDATE SET views = holdout_sessions.views + excluded.views,
                                 clicks = holdout_sessions.clicks + excluded.clicks";
        tx.execute_rows(sql, &rows).await.map(drop)
    }
}
