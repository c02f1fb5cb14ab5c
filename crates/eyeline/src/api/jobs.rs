//! Dead letters: failed jobs, for the operator to see and retry.

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

use super::{Answer, Credential, PagingParameters, Query};
use crate::app::App;
use crate::flow::hints;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(retry))
}

#[derive(Serialize, ToSchema)]
#[schema(as = JobList)]
struct JobsAnswer {
    #[schema(max_items = 100)]
    jobs: Vec<JobAnswer>,
    next_cursor: Option<String>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Job)]
struct JobAnswer {
    job_id: JobId,
    #[schema(example = "process_image")]
    kind: String,
    /// The id of what the job processes, such as an image or a project.
    subject: uuid::Uuid,
    /// Always `dead`: jobs that wait or run are not listed.
    #[schema(value_type = DeadState)]
    state: &'static str,
    attempts: u32,
    /// Workers that died during it.
    deaths: u32,
    /// The reason why it was given up.
    reason: String,
    created_at: Timestamp,
}

#[derive(ToSchema)]
#[schema(as = JobState, rename_all = "snake_case")]
#[expect(dead_code, reason = "describes the words that jobs use")]
enum DeadState {
    Dead,
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

/// List failed jobs
///
/// Jobs that ran out of attempts, the newest first. Requires the admin key.
#[utoipa::path(
    get, path = "/jobs", operation_id = "list_jobs", tag = "operations", params(PagingParameters),
    responses((status = 200, body = JobsAnswer))
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

/// Retry a failed job
///
/// The job starts again with all its attempts. Requires the admin key.
#[utoipa::path(
    post, path = "/jobs/{job_id}/retry", operation_id = "retry_job", tag = "operations",
    params(("job_id" = JobId, Path)), responses((status = 202))
)]
async fn retry(State(app): State<App>, credential: Credential, Path(job_id): Path<JobId>) -> Answer<StatusCode> {
    credential.admin()?;
    let changed = app.catalog.revive_job(job_id, app.clock.now()).await?;
    hints::publish(&*app.pubsub, changed).await;
    Ok(StatusCode::ACCEPTED)
}
