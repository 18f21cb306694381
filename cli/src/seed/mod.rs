//! `weir seed`: loads reference data and keys out of a file, by [`weir_seed`].
//!
//! There is no operation of the API for a whole file: whoever may write the tables by their own AWS
//! credentials does it. Invariants: what is wrong with a file is told before any table is asked; a key
//! that was made is printed whatever happens after it, and nowhere else.

mod shown;

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Args;
use weir_seed::{Applied, ApplyError, FILE_BYTES_MAX, Format, Plan, Policy, Problem, Seed, Seeder};

use crate::arguments::{EXIT_CODES, Output};
use crate::failure::{EXIT_API, EXIT_IN_ERROR, EXIT_WELL, Failure};
use crate::progress::Progress;
use crate::text::{Paint, append, plain};
use crate::{Outside, Report};

const LONG_HELP: &str = "\
The file holds lists of clients, programs, sellers, customers, seller_contacts, report_schedules and
api_keys; docs/reference-data.md tells what stands in them, and the local system's demo.yaml is one.
What is missing is created and what is the same is left. What differs is listed, and nothing is
changed then, unless --update is given. Nothing is deleted. Doing it twice does nothing more.

The tables are reached with AWS credentials of your own, by the settings that the functions have:
AWS_REGION, WEIR_TABLE_PREFIX and, for the local system, those of its functions.env:
  set -a; . .weir/functions.env; set +a";

/// Load clients, programs, sellers and the like, and API keys, out of a YAML or JSON file
#[derive(Debug, Args)]
#[command(after_help = format!("{LONG_HELP}\n\n{EXIT_CODES}"))]
pub(crate) struct Arguments {
    /// The file, named `.yaml`, `.yml` or `.json`
    pub(crate) file: PathBuf,

    /// Change what differs; keys stay as they are all the same
    #[arg(long)]
    pub(crate) update: bool,

    /// Show what would be done, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,

    #[command(flatten)]
    pub(crate) output: Output,
}

/// What came of it.
struct Outcome<'a> {
    arguments: &'a Arguments,
    /// What is wrong with the file, by itself or with what there is.
    problems: Vec<Problem>,
    /// What it comes to; `None` when the file cannot be understood.
    plan: Option<Plan>,
    /// What was done, or would have been.
    applied: Applied,
}

/// Reads the file, compares it with the tables and applies it.
pub(crate) async fn run(
    arguments: &Arguments,
    outside: &mut Outside<'_>,
) -> Result<Report, Failure> {
    let format = arguments.file.extension().and_then(|name| name.to_str());
    let format = format.and_then(Format::of_extension);
    let format = format.ok_or_else(|| Failure::SeedFormat(arguments.file.clone()))?;
    let bytes = read(&arguments.file)?;
    let seed = match Seed::parse(format, &bytes) {
        Ok(seed) => seed,
        Err(problems) => {
            let outcome = Outcome {
                arguments,
                problems,
                plan: None,
                applied: Applied {
                    stopped: Some(ApplyError::Obstacles),
                    ..Applied::default()
                },
            };
            return Ok(outcome.report(outside));
        }
    };
    drop(bytes);
    let settings = (outside.settings)();
    let seeder = Seeder {
        store: crate::keys::open(settings, &outside.clock, &outside.random).await?,
        clock: outside.clock.clone(),
        random: outside.random.clone(),
    };
    let mut progress = crate::progress(&arguments.output, outside);
    let worked = work(arguments, &seed, &seeder, &mut progress).await;
    progress.clear();
    drop(progress);
    let (plan, applied) = worked?;
    let outcome = Outcome {
        arguments,
        problems: plan.obstacles(),
        plan: Some(plan),
        applied,
    };
    Ok(outcome.report(outside))
}

async fn work(
    arguments: &Arguments,
    seed: &Seed,
    seeder: &Seeder,
    progress: &mut Progress<'_>,
) -> Result<(Plan, Applied), Failure> {
    let count = seed.references().count();
    let bar = progress.entries("comparing", count);
    let plan = seeder.plan(seed, &mut || bar.inc(1)).await;
    let plan = plan.map_err(Failure::Tables)?;
    let policy = if arguments.update {
        Policy::Update
    } else {
        Policy::Refuse
    };
    if arguments.dry_run {
        let applied = plan.foretold(policy);
        return Ok((plan, applied));
    }
    let bar = progress.entries("loading", count + seed.keys().len());
    let applied = seeder.apply(&plan, policy, &mut || bar.inc(1)).await;
    Ok((plan, applied))
}

/// The bytes of a file, of one that is too large just enough to know it.
fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let unreadable = |error| Failure::Unreadable {
        path: path.to_owned(),
        error,
    };
    let metadata = std::fs::metadata(path).map_err(unreadable)?;
    Failure::unless_regular(path, &metadata)?;
    let limit = u64::try_from(FILE_BYTES_MAX).unwrap_or(u64::MAX);
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    let mut file = file.take(limit.saturating_add(1));
    file.read_to_end(&mut bytes).map_err(unreadable)?;
    Ok(bytes)
}

impl Outcome<'_> {
    fn told(&self, stopped: &ApplyError) -> String {
        match self.plan {
            None => "the file is not valid".to_owned(),
            Some(_) => plain(&stopped.to_string()),
        }
    }

    fn report(&self, outside: &Outside<'_>) -> Report {
        let now = outside.clock.now();
        let stdout = if self.arguments.output.json {
            self.document(now)
        } else {
            self.text(Paint(outside.stdout_colours))
        };
        let exit_code = match &self.applied.stopped {
            None => EXIT_WELL,
            Some(ApplyError::Store(_)) => EXIT_API,
            Some(_) => EXIT_IN_ERROR,
        };
        Report {
            stdout,
            stderr: self.hints(Paint(outside.stderr_colours)),
            exit_code,
        }
    }

    /// What a person is to know besides the result.
    fn hints(&self, paint: Paint) -> String {
        let mut hints = String::new();
        let (warning, help) = (paint.note("warning:"), paint.note("help:"));
        if !self.applied.keys.is_empty() {
            append(
                &mut hints,
                format_args!(
                    "{warning} keys are not shown again and cannot be found out: keep them now\n"
                ),
            );
        }
        let keys = self.plan.iter().flat_map(|plan| &plan.keys);
        for step in keys.filter(|step| step.is_other()) {
            append(
                &mut hints,
                format_args!(
                    "{warning} the key {} ({}) is there with another name, scope or permissions, \
                     revoked or expired, and stays so: revoke it, and give the one in the file a new id\n",
                    step.key.id,
                    plain(&step.key.name)
                ),
            );
        }
        let Some(stopped) = &self.applied.stopped else {
            return hints;
        };
        append(
            &mut hints,
            format_args!("{} {}\n", paint.bad("error:"), self.told(stopped)),
        );
        let remedy = match stopped {
            ApplyError::Obstacles => "mend the file; nothing was changed",
            ApplyError::Differs => {
                "nothing was changed; to change what is listed above, give --update"
            }
            ApplyError::Store(_) => {
                "see that the tables can be reached and written, and run it again: what is done stays"
            }
            ApplyError::Ahead(..) => "set this machine's clock, and run it again",
            ApplyError::AlternateIdTaken { .. } => {
                "give one of them another in the file, and run it again: what is done stays"
            }
            ApplyError::BeingDeleted(..) => {
                "see what becomes of the deletion, which takes some seconds, and run it again: what is \
                 done stays"
            }
            ApplyError::Meanwhile(..) | ApplyError::Orphaned(..) => {
                "run it again: what is done stays, and what changed is compared anew"
            }
        };
        append(&mut hints, format_args!("{help} {remedy}\n"));
        hints
    }
}
