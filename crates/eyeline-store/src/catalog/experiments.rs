//! Hold-outs: the acts of each session in an arm of a gallery, one row for each session.

use std::collections::{BTreeMap, BTreeSet};

use eyeline_core::event::ActKind;
use eyeline_core::ranking::experiment::{Arm, ArmSums, Holdout};
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
    /// The sums of both arms since the hold-out has these settings.
    pub async fn holdout_sums(&self, gallery_id: GalleryId, holdout: Holdout) -> Result<HoldoutSums> {
        let sql = "SELECT held_out, count(*) AS visitors,
                          CAST(sum(sessions) AS BIGINT) AS sessions, CAST(sum(views) AS BIGINT) AS views,
                          CAST(sum(clicks) AS BIGINT) AS clicks,
                          CAST(sum(sessions * sessions) AS DOUBLE PRECISION) AS sessions_squared,
                          CAST(sum(clicks * clicks) AS DOUBLE PRECISION) AS clicks_squared,
                          CAST(sum(sessions * clicks) AS DOUBLE PRECISION) AS sessions_clicks
                   FROM (SELECT held_out, visitor, count(*) AS sessions, CAST(sum(views) AS BIGINT) AS views,
                                CAST(sum(clicks) AS BIGINT) AS clicks
                         FROM holdout_sessions
                         WHERE gallery_id = $1 AND percent = $2 AND treatment = $3 AND control = $4
                         GROUP BY held_out, visitor) AS v
                   GROUP BY held_out";
        let Holdout { percent, treatment, control } = holdout;
        self.db
            .read(move |tx| {
                async move {
                    let mut sums = HoldoutSums::default();
                    for mut row in tx.query(sql, params![gallery_id, percent, treatment, control]).await? {
                        let arm = if row.take("held_out")? { &mut sums.control } else { &mut sums.treatment };
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

/// Deletes up to `rows_max` rows of a deleted gallery. False if there are none.
pub(super) async fn clear(tx: &mut Tx, gallery_id: GalleryId, rows_max: u32) -> Result<bool> {
    let sql = "DELETE FROM holdout_sessions WHERE (gallery_id, percent, treatment, control, session_id) IN (
                   SELECT gallery_id, percent, treatment, control, session_id FROM holdout_sessions
                   WHERE gallery_id = $1 LIMIT $2)";
    Ok(tx.execute(sql, params![gallery_id, rows_max]).await? > 0)
}

/// The changes of a batch to the sessions of hold-outs.
#[derive(Default)]
pub(super) struct HoldoutDeltas {
    deltas: BTreeMap<Key, SessionDelta>,
    /// Sessions that are no longer visitors.
    gone: BTreeSet<Key>,
}

type Key = (GalleryId, Holdout, SessionId);

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
        let Some(holdout) = ranking.holdout() else { return };
        let visitor = visitor_id.map_or_else(|| session_id.to_string(), str::to_owned);
        let arm = holdout.arm_of(gallery_id, &visitor);
        let visitor = hash_of(visitor.as_bytes()).cast_signed();
        let delta = SessionDelta { arm, visitor, views: 0, clicks: 0 };
        let delta = self.deltas.entry((gallery_id, holdout, session_id)).or_insert(delta);
        match kind {
            ActKind::View => delta.views += 1,
            ActKind::Click => delta.clicks += 1,
        }
    }

    /// Removes a session with all its acts.
    pub fn leave_out(&mut self, gallery_id: GalleryId, ranking: Ranking, session_id: SessionId) {
        if let Some(holdout) = ranking.holdout() {
            self.deltas.remove(&(gallery_id, holdout, session_id));
            self.gone.insert((gallery_id, holdout, session_id));
        }
    }

    pub async fn write(self, tx: &mut Tx) -> Result<()> {
        let gone: Vec<Vec<Value>> = self.gone.into_iter().map(columns).collect();
        let sql = "DELETE FROM holdout_sessions
                   WHERE (gallery_id, percent, treatment, control, session_id) IN (VALUES {rows})";
        tx.execute_rows(sql, &gone).await?;
        let rows: Vec<Vec<Value>> = self
            .deltas
            .into_iter()
            .map(|(key, SessionDelta { arm, visitor, views, clicks })| {
                let mut row = columns(key);
                row.extend_from_slice(params![visitor, arm == Arm::Control, views, clicks]);
                row
            })
            .collect();
        let sql = "INSERT INTO holdout_sessions
                       (gallery_id, percent, treatment, control, session_id, visitor, held_out, views, clicks)
                   VALUES {rows}
                   ON CONFLICT (gallery_id, percent, treatment, control, session_id)
                   DO UPDATE SET views = holdout_sessions.views + excluded.views,
                                 clicks = holdout_sessions.clicks + excluded.clicks";
        tx.execute_rows(sql, &rows).await.map(drop)
    }
}

fn columns((gallery_id, holdout, session_id): Key) -> Vec<Value> {
    let Holdout { percent, treatment, control } = holdout;
    params![gallery_id, percent, treatment, control, session_id].to_vec()
}
