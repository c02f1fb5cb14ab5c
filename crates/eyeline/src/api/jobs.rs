//! Dead letters: work that was given up, for the operator to see and start anew.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use eyeline_core::{JobId, Timestamp};
use eyeline_store::catalog::jobs::DeadJob;
use http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Answer, Credential, Query};
use crate::app::App;
use crate::flow::hints;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(retry))
}

#[derive(Serialize, ToSchema)]
struct JobsAnswer {
    jobs: Vec<JobAnswer>,
    next_cursor: Option<String>,
}

#[derive(Serialize, ToSchema)]
struct JobAnswer {
    #[schema(value_type = uuid::Uuid)]
    job_id: JobId,
    #[schema(example = "process_image")]
    kind: String,
    /// What the job is about: an image, a project.
    subject: uuid::Uuid,
    /// Always `dead`: what waits or runs needs nobody.
    state: &'static str,
    attempts: u32,
    /// Workers that died on it.
    deaths: u32,
    /// Why it was given up.
    reason: String,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

impl From<DeadJob> for JobAnswer {
    fn from(job: DeadJob) -> Self {
        JobAnswer {
            job_id: job.job_id,
            kind: job.kind,
            subject: job.subject,
            state: "dead",
            attempts: job.attempts,
            deaths: job.deaths,
            reason: job.reason,
            created_at: job.created_at,
        }
    }
}

/// Jobs that were given up, the newest first. Takes the admin key.
#[utoipa::path(
    get, path = "/jobs", tag = "operations",
    params(("limit" = Option<u32>, Query), ("cursor" = Option<String>, Query)),
    responses((status = 200, body = JobsAnswer), (status = "4XX", description = "A problem document"))
)]
async fn list(State(app): State<App>, credential: Credential, mut query: Query) -> Answer<Response> {
    credential.admin()?;
    let paging = query.paging::<(i64, JobId)>(&app);
    query.finish()?;
    let after = paging.after.map(|(created_at, job_id)| (Timestamp::from_micros(created_at), job_id));
    let jobs = app.catalog.dead_jobs(after, paging.rows()).await?;
    let (jobs, next) = paging.cut(jobs, |job| (job.created_at.micros(), job.job_id));
    let jobs = jobs.into_iter().map(JobAnswer::from).collect();
    let answer = JobsAnswer { jobs, next_cursor: next.cursor.clone() };
    Ok((next, Json(answer)).into_response())
}

/// Starts a job that was given up anew, with all attempts before it. Takes the admin key.
#[utoipa::path(
    post, path = "/jobs/{job_id}/retry", tag = "operations", params(("job_id" = uuid::Uuid, Path)),
    responses((status = 202), (status = "4XX", description = "A problem document"))
)]
async fn retry(State(app): State<App>, credential: Credential, Path(job_id): Path<JobId>) -> Answer<StatusCode> {
    credential.admin()?;
    let changed = app.catalog.revive_job(job_id, app.clock.now()).await?;
    hints::publish(&app, changed).await;
    Ok(StatusCode::ACCEPTED)
}
