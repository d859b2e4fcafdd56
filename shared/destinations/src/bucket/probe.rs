//! A probe: each right by using it.

use tokio::time::Instant;

use super::{
    Bucket, Layout,
    objects::{Condition, Object, Objects, Put},
};
use crate::{
    envelope::JSON,
    kind::{Fault, Finding},
};

impl<O: Objects> Bucket<O> {
    pub(super) async fn try_steps(&self) -> Vec<Finding> {
        let key = format!("{}terrarium-probe", self.settings.prefix);
        let object = Object {
            content_type: JSON,
            bytes: "{}".into(),
            revision: 0,
            record: "terrarium-probe",
        };
        let mut findings = Vec::new();
        let mut step =
            async |name: &'static str, result: Result<String, Fault>, started: Instant| {
                let passed = result.is_ok();
                findings.push(Finding::of(name, started.elapsed(), result));
                passed
            };
        let started = Instant::now();
        let written = self.objects.put(&key, object.clone(), Condition::Any).await;
        let written =
            written.map(|_| format!("an object was written into {}", self.objects.place()));
        step("write", written, started).await;
        if self.settings.write_only {
            return findings;
        }
        let started = Instant::now();
        let lost = self
            .objects
            .put(&key, object.clone(), Condition::Missing)
            .await;
        let lost = match lost {
            Ok(Put::Lost) => Ok("an object that is there is not written over".to_owned()),
            // Every state has a name of its own.
            Ok(Put::Done) if self.settings.layout == Layout::Revisions => {
                Ok("the store knows no conditions, which this layout does without".to_owned())
            }
            Ok(Put::Done) => Err(Fault::misconfigured(
                "the store writes over an object on the condition that there is none",
            )),
            Err(fault) => Err(fault),
        };
        step("write on a condition", lost, started).await;
        if self.settings.layout != Layout::Revisions {
            let started = Instant::now();
            let read = match self.objects.head(&key).await {
                Ok(Some(head)) if head.revision == Some(0) => self
                    .objects
                    .put(&key, object, Condition::Unchanged(&head.stamp))
                    .await
                    .map(|_| "metadata was read, and the object written over it".to_owned()),
                Ok(_) => Err(Fault::misconfigured("the store does not keep metadata")),
                Err(fault) => Err(fault),
            };
            step("read and overwrite", read, started).await;
        }
        let started = Instant::now();
        let listed = self
            .objects
            .page(&key, None)
            .await
            .map(|page| format!("{} objects were listed", page.items.len()));
        step("list", listed, started).await;
        let started = Instant::now();
        let deleted = self
            .objects
            .delete(&key, None)
            .await
            .map(|_| "the object was deleted".to_owned());
        step("delete", deleted, started).await;
        findings
    }
}
