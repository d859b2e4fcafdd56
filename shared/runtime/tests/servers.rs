//! FIFO queues of SQS (ministack: `TERRARIUM_TEST_AWS`, which `.ci/destinations` starts and names).

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::collections::BTreeMap;

use aws_sdk_sqs::types::MessageSystemAttributeName;
use runtime::{
    aws::sdk_config,
    queue::{FifoIds, Queue, QueueError},
    settings::Settings,
};

#[expect(
    clippy::disallowed_methods,
    reason = "a test is told its server from outside"
)]
fn client() -> aws_sdk_sqs::Client {
    let port = std::env::var("TERRARIUM_TEST_AWS").unwrap();
    let mut settings = Settings::from_map([
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("AWS_ENDPOINT_URL", &format!("http://127.0.0.1:{port}")),
    ]);
    let config = sdk_config(&mut settings);
    aws_sdk_sqs::Client::new(&settings.finish(|| config).unwrap())
}

fn ids(group_id: &str, message: u32) -> FifoIds {
    FifoIds {
        group_id: group_id.to_owned(),
        deduplication_id: format!("{group_id}/{message}"),
    }
}

/// The messages of each group as they were received, each call's deleted before the next call.
async fn received(client: &aws_sdk_sqs::Client, url: &str) -> BTreeMap<String, Vec<u32>> {
    let mut groups: BTreeMap<String, Vec<u32>> = BTreeMap::new();
    loop {
        let answer = client
            .receive_message()
            .queue_url(url)
            .max_number_of_messages(10)
            .message_system_attribute_names(MessageSystemAttributeName::MessageGroupId)
            .send()
            .await
            .unwrap();
        let messages = answer.messages.unwrap_or_default();
        if messages.is_empty() {
            return groups;
        }
        for message in messages {
            let mut attributes = message.attributes.unwrap();
            let group = attributes.remove(&MessageSystemAttributeName::MessageGroupId);
            let number = message.body.unwrap().parse().unwrap();
            groups.entry(group.unwrap()).or_default().push(number);
            let receipt = message.receipt_handle.unwrap();
            let delete = client.delete_message().queue_url(url);
            delete.receipt_handle(receipt).send().await.unwrap();
        }
    }
}

#[tokio::test]
#[ignore = "needs a server"]
async fn sqs_keeps_the_order_of_groups_and_drops_what_is_sent_again() {
    let client = client();
    let made = client
        .create_queue()
        .queue_name("deliveries.fifo")
        .attributes("FifoQueue".into(), "true")
        .send()
        .await
        .unwrap();
    let url = made.queue_url.unwrap();
    let queue = Queue::<u32>::sqs(client.clone(), &url);

    let numbers: Vec<u32> = (0..12).collect();
    let groups = ["dst_1#2#0", "dst_1#2#1"];
    for _ in 0..2 {
        let messages = numbers
            .iter()
            .flat_map(|number| groups.map(|group| (number, ids(group, *number))));
        queue.send_fifo(messages).await.unwrap();
    }
    let expected = groups.map(|group| (group.to_owned(), numbers.clone()));
    assert_eq!(received(&client, &url).await, BTreeMap::from(expected));

    // Received and deleted already, and still known.
    queue.send_fifo([(&3, ids(groups[0], 3))]).await.unwrap();
    queue.send_fifo([(&12, ids(groups[0], 12))]).await.unwrap();
    let expected = (groups[0].to_owned(), vec![12]);
    assert_eq!(received(&client, &url).await, BTreeMap::from([expected]));

    let ordinary = queue.send(&13).await;
    assert!(matches!(ordinary, Err(QueueError::WrongQueueType { .. })));
}
