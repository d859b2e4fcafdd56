"""Rules of the template: relations between its numbers, and what is easily forgotten."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import cfn
from cfn import listed, name_of, resources

FOURTEEN_DAYS_S = 14 * 24 * 3600
# The least that the URL in a ping lasts (FACTS section 14, no. 17).
PING_LASTS_S = 300

# Lanes of pings: what fails there must come back while the URL lasts.
PING_LANES = {"PingsQueue", "TerraDestinationQueue"}

# A dashboard with more metrics costs $3 a month.
FREE_METRICS = 50

# Concurrent executions of all functions together.
NEW_ACCOUNT_ENVIRONMENTS = 10
# What the intake answers 100 webhooks a second with, at 20 ms each.
INTAKE_ENVIRONMENTS = 2
# AWS takes no lower bound for a mapping.
LEAST_CONCURRENCY = 2
# A look for work begins windows for about a minute, and the next look comes after a minute.
LOOKS_AT_ONCE = 2

# The most messages that a batch of a FIFO queue has.
FIFO_BATCH = 10

# SQS takes no larger message.
ONE_MIB = 1024 * 1024

# SQS leaves messages out of the oldest one's age that were received more often, redrive policy or not.
RECEIVES_WITH_AN_AGE = 3

# Alarms on the age that are not for a function that fails, each with its reason.
FOR_QUEUES_THAT_ARE_BEHIND = {
    "BackfillEventsQueue": "a backfill may take hours; what fails is a dead letter after 23 minutes",
}

# The namespace of our own metrics.
OWN = {"Fn::Sub": "Terrarium/${AWS::StackName}"}

# Statements whose resource or action AWS cannot name, each with its reason.
UNNAMEABLE = {
    ("WebhookIntakeRole", "WriteTraces"): "X-Ray has no resources",
    ("EventRouterRole", "WriteTraces"): "X-Ray has no resources",
    ("HistoryFetchRole", "WriteTraces"): "X-Ray has no resources",
    ("DeliverRole", "WriteTraces"): "X-Ray has no resources",
    ("JobsRole", "WriteTraces"): "X-Ray has no resources",
    ("ApiRole", "WriteTraces"): "X-Ray has no resources",
    ("DeliverRole", "BeInTheVpc"): "interfaces that are yet to be made; only in a VPC, and not for the program",
    ("AlarmKey", "AccountAdministers"): "a key's policy is about the key itself; AWS's default",
    ("AlarmKey", "AlarmsPublish"): "a key's policy is about the key itself",
}


@pytest.fixture(scope="module")
def template() -> dict:
    return cfn.load()


@pytest.fixture(scope="module")
def queues(template: dict) -> dict[str, dict]:
    return {name: q["Properties"] for name, q in resources(template, "AWS::SQS::Queue").items()}


@pytest.fixture(scope="module")
def working(queues: dict[str, dict]) -> dict[str, str]:
    """Each working queue with its dead-letter queue."""
    return {
        name: name_of(queue["RedrivePolicy"]["deadLetterTargetArn"])
        for name, queue in queues.items()
        if "RedrivePolicy" in queue
    }


@pytest.fixture(scope="module")
def schedules(template: dict) -> dict[str, dict]:
    found = resources(template, "AWS::Scheduler::Schedule")
    assert found
    return {name: body["Properties"] for name, body in found.items()}


@pytest.fixture(scope="module")
def dead_letters(working: dict[str, str], schedules: dict[str, dict]) -> dict[str, str]:
    """Each working queue and each schedule with its dead-letter queue."""
    return working | {
        name: name_of(schedule["Target"]["DeadLetterConfig"]["Arn"])
        for name, schedule in schedules.items()
    }


@pytest.fixture(scope="module")
def functions(template: dict) -> dict[str, dict]:
    found = resources(template, "AWS::Serverless::Function")
    assert found
    return {name: body["Properties"] for name, body in found.items()}


@pytest.fixture(scope="module")
def mappings(template: dict) -> dict[str, dict]:
    found = resources(template, "AWS::Lambda::EventSourceMapping")
    assert found
    return {name: body["Properties"] for name, body in found.items()}


def test_every_function_of_the_workspace_is_deployed(functions: dict[str, dict]) -> None:
    folders = {path.parent.name for path in (cfn.FOLDER / "../../functions").glob("*/Cargo.toml")}
    assert {Path(function["CodeUri"]).name for function in functions.values()} == folders


def test_every_queue_and_schedule_has_dead_letters_of_its_own(
    queues: dict[str, dict], working: dict[str, str], dead_letters: dict[str, str]
) -> None:
    assert len(set(dead_letters.values())) == len(dead_letters)
    assert set(queues) == set(working) | set(dead_letters.values())


def test_messages_are_tried_for_twenty_minutes_and_kept_fourteen_days(
    queues: dict[str, dict], working: dict[str, str]
) -> None:
    for name, queue in queues.items():
        assert queue["MessageRetentionPeriod"] == FOURTEEN_DAYS_S, name
        assert queue["SqsManagedSseEnabled"] is True, name
    for name in working:
        receives = queues[name]["RedrivePolicy"]["maxReceiveCount"]
        assert receives == (25 if name in PING_LANES else 5), name
        assert (receives - 1) * queues[name]["VisibilityTimeout"] >= 20 * 60, name


def test_visibility_is_six_times_the_timeout_and_the_window(
    queues: dict[str, dict], functions: dict[str, dict], mappings: dict[str, dict]
) -> None:
    for name, mapping in mappings.items():
        timeout = functions[name_of(mapping["FunctionName"])]["Timeout"]
        window = mapping.get("MaximumBatchingWindowInSeconds", 0)  # a FIFO queue has none
        queue = queues[name_of(mapping["EventSourceArn"])]
        if name_of(mapping["EventSourceArn"]) in PING_LANES:
            # A batch that runs into its timeout is over before another one has its messages.
            assert queue["VisibilityTimeout"] > timeout + window, name
            # At 0 s, and four times more before the URL is over.
            assert PING_LASTS_S // queue["VisibilityTimeout"] >= 4, name
        else:
            assert queue["VisibilityTimeout"] >= 6 * timeout + window, name


def test_pings_wait_behind_nothing_else(template: dict, mappings: dict[str, dict]) -> None:
    variables = template["Resources"]["WebhookIntake"]["Properties"]["Environment"]["Variables"]
    assert name_of(variables["PINGS_QUEUE_URL"]) == "PingsQueue"
    for lane in PING_LANES:
        [mapping] = [each for each in mappings.values() if name_of(each["EventSourceArn"]) == lane]
        assert mapping["MaximumBatchingWindowInSeconds"] == 1, lane


def test_a_ping_that_waits_or_is_lost_is_an_alarm_at_once(template: dict) -> None:
    ages = alarms_on(template, "ApproximateAgeOfOldestMessage")
    for lane in PING_LANES:
        assert (ages[lane]["Threshold"], ages[lane]["EvaluationPeriods"]) == (60, 1), lane
    lost = template["Resources"]["LostPayloadsAlarm"]["Properties"]
    assert (lost["Threshold"], lost["ComparisonOperator"]) == (1, "GreaterThanOrEqualToThreshold")
    assert (lost["EvaluationPeriods"], lost["Statistic"]) == (1, "Sum")
    assert lost["Period"] <= 300


def test_a_destination_that_waits_for_somebody_is_an_alarm_at_once(template: dict) -> None:
    stopped = template["Resources"]["StoppedDestinationsAlarm"]["Properties"]
    assert stopped["MetricName"] == "StoppedDestinations"
    assert (stopped["Threshold"], stopped["ComparisonOperator"]) == (0, "GreaterThanThreshold")
    # A look counts them once a minute.
    assert (stopped["EvaluationPeriods"], stopped["Period"], stopped["Statistic"]) == (1, 60, "Maximum")


def test_every_working_queue_has_a_function(working: dict[str, str], mappings: dict[str, dict]) -> None:
    assert sorted(working) == sorted(name_of(mapping["EventSourceArn"]) for mapping in mappings.values())


def is_fifo(queue: dict) -> bool:
    return queue.get("FifoQueue", False)


def test_deliveries_are_in_order_in_each_shard_and_side_by_side_otherwise(queues: dict[str, dict]) -> None:
    assert {name for name, queue in queues.items() if is_fifo(queue)} == {
        "DeliveriesQueue",
        "DeliveriesDeadLetters",
    }
    deliveries = queues["DeliveriesQueue"]
    assert deliveries["DeduplicationScope"] == "messageGroup"
    assert deliveries["FifoThroughputLimit"] == "perMessageGroupId"


def test_dead_letters_of_a_fifo_queue_are_fifo(queues: dict[str, dict], working: dict[str, str]) -> None:
    for name, queue in queues.items():
        named_so = queue["QueueName"]["Fn::Sub"].endswith(".fifo")
        assert named_so == is_fifo(queue), name
    for name, dead in working.items():
        assert is_fifo(queues[name]) == is_fifo(queues[dead]), name


def test_a_schedules_dead_letters_are_no_fifo(
    queues: dict[str, dict], schedules: dict[str, dict], dead_letters: dict[str, str]
) -> None:
    # The scheduler has no group to give them: it could not put one in.
    for name in schedules:
        assert not is_fifo(queues[dead_letters[name]]), name


def test_queues_of_webhooks_take_the_largest_parcel(
    queues: dict[str, dict], working: dict[str, str]
) -> None:
    source = (cfn.FOLDER / "../../shared/store/src/parcel.rs").read_text()
    [kib] = re.findall(r"pub const MAX_INLINE_BYTES: usize = (\d+) \* 1024;", source)
    for name in ("EventsQueue", "BackfillEventsQueue"):
        for queue in (name, working[name]):
            assert queues[queue]["MaximumMessageSize"] == ONE_MIB, queue
            assert int(kib) * 1024 < queues[queue]["MaximumMessageSize"], queue


def test_every_mapping_reports_single_failures_and_is_bounded(
    mappings: dict[str, dict], queues: dict[str, dict]
) -> None:
    for name, mapping in mappings.items():
        assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"], name
        if is_fifo(queues[name_of(mapping["EventSourceArn"])]):
            # AWS refuses both a window and more.
            assert "MaximumBatchingWindowInSeconds" not in mapping, name
            assert mapping["BatchSize"] <= FIFO_BATCH, name
        else:
            assert mapping["MaximumBatchingWindowInSeconds"] >= 1, name
        assert "MaximumConcurrency" in mapping["ScalingConfig"], name


def test_backfill_has_a_queue_and_a_bound_of_its_own(mappings: dict[str, dict]) -> None:
    backfill = mappings["BackfillEventsMapping"]
    assert name_of(backfill["EventSourceArn"]) == "BackfillEventsQueue"
    assert backfill["ScalingConfig"]["MaximumConcurrency"] == 2


def test_a_new_account_has_room_for_the_intake(template: dict, mappings: dict) -> None:
    parameters = template["Parameters"]

    def default(bound: int | dict) -> int:
        return parameters[name_of(bound)]["Default"] if isinstance(bound, dict) else bound

    bounds = {
        name: default(mapping["ScalingConfig"]["MaximumConcurrency"])
        for name, mapping in mappings.items()
        # Off by default; the README says to ask for more environments first.
        if name != "TerraDestinationMapping"
    }
    # Nothing to deliver until somebody adds a destination, and the README says the same of that.
    assert bounds.pop("DeliveriesMapping") == LEAST_CONCURRENCY
    # Looks of a moment each, until somebody orders an erasure or an export.
    assert bounds.pop("JobsMapping") == LEAST_CONCURRENCY
    assert set(bounds) == {"EventsMapping", "PingsMapping", "BackfillEventsMapping", "HistoryMapping"}
    # A destination posts data or offers them by pings: one of the two lanes is all but empty.
    assert bounds.pop("PingsMapping") == bounds["EventsMapping"]
    # LOOKS_AT_ONCE is for looks that begin every minute.
    assert parameters["WorkEvery"]["Default"] == "rate(1 minute)"
    taken = sum(bounds.values()) + LOOKS_AT_ONCE
    assert taken + INTAKE_ENVIRONMENTS <= NEW_ACCOUNT_ENVIRONMENTS
    # Nothing can be reserved there.
    for name in ("IntakeReservedConcurrency", "HistoryReservedConcurrency"):
        assert parameters[name]["Default"] == 0, name


def test_history_cannot_be_reserved_less_than_it_takes(
    template: dict, functions: dict[str, dict], mappings: dict[str, dict]
) -> None:
    every_s = 60  # the most often that WorkEvery can be
    looks = functions["HistoryFetch"]["Timeout"] // every_s
    enough = looks + mappings["HistoryMapping"]["ScalingConfig"]["MaximumConcurrency"]
    [rule] = template["Rules"]["HistoryIsNotThrottled"]["Assertions"]
    [refusal] = rule["Assert"]["Fn::Not"]
    refused, value = refusal["Fn::Contains"]
    assert value == {"Ref": "HistoryReservedConcurrency"}
    # 0 is no reservation at all.
    assert refused == [str(number) for number in range(1, enough)]


def alarms_on(template: dict, metric: str) -> dict[str, dict]:
    found = resources(template, "AWS::CloudWatch::Alarm").values()
    alarms = [alarm["Properties"] for alarm in found]
    return {
        name_of(alarm["Dimensions"][0]["Value"]): alarm
        for alarm in alarms
        if alarm["MetricName"] == metric
    }


def test_one_dead_letter_is_an_alarm(template: dict, dead_letters: dict[str, str]) -> None:
    alarms = alarms_on(template, "ApproximateNumberOfMessagesVisible")
    assert set(alarms) == set(dead_letters.values())
    for name, alarm in alarms.items():
        assert alarm["Threshold"] == 0, name
        assert alarm["ComparisonOperator"] == "GreaterThanThreshold", name
        assert alarm["Statistic"] == "Maximum", name
        assert alarm["EvaluationPeriods"] == 1, name


def test_every_dead_letter_queue_says_its_arn(template: dict, dead_letters: dict[str, str]) -> None:
    for name in dead_letters.values():
        output = template["Outputs"][f"{name}Arn"]
        assert output["Value"] == {"Fn::GetAtt": [name, "Arn"]}, name
        assert output.get("Condition") == template["Resources"][name].get("Condition"), name


def test_waiting_is_an_alarm_where_somebody_works(template: dict, mappings: dict) -> None:
    worked = {name_of(mapping["EventSourceArn"]) for mapping in mappings.values()}
    assert set(alarms_on(template, "ApproximateAgeOfOldestMessage")) == worked


def test_a_function_that_fails_is_an_alarm_before_its_messages_are_left_out(
    template: dict, queues: dict[str, dict]
) -> None:
    alarms = alarms_on(template, "ApproximateAgeOfOldestMessage")
    for name, alarm in alarms.items():
        assert alarm["ComparisonOperator"] == "GreaterThanThreshold", name
        left_out_s = RECEIVES_WITH_AN_AGE * queues[name]["VisibilityTimeout"]
        if name in FOR_QUEUES_THAT_ARE_BEHIND:
            assert alarm["Threshold"] > left_out_s, f"{name}: an excuse that nobody needs"
            continue
        # One period more, because none begins just when the age passes the threshold.
        seen_s = (alarm["EvaluationPeriods"] + 1) * alarm["Period"]
        assert alarm["Threshold"] + seen_s <= left_out_s, name
    assert set(FOR_QUEUES_THAT_ARE_BEHIND) <= set(alarms)


def test_throttles_of_table_and_indexes_are_alarms(template: dict) -> None:
    throttles = sorted(
        (alarm["Properties"]["MetricName"], *(each["Value"] for each in alarm["Properties"]["Dimensions"][1:]))
        for alarm in resources(template, "AWS::CloudWatch::Alarm").values()
        if alarm["Properties"]["Namespace"] == "AWS/DynamoDB"
    )
    indexes = [index["IndexName"] for index in template["Resources"]["Table"]["Properties"]["GlobalSecondaryIndexes"]]
    assert len(indexes) == 2
    assert throttles == sorted(
        (metric, *index)
        for metric in ("ReadThrottleEvents", "WriteThrottleEvents")
        for index in [(), *((name,) for name in indexes)]
    )


def test_every_alarm_tells_somebody_what_to_do(template: dict) -> None:
    for name, alarm in resources(template, "AWS::CloudWatch::Alarm").items():
        properties = alarm["Properties"]
        assert properties["AlarmActions"] == [{"Ref": "AlarmTopic"}], name
        description = properties["AlarmDescription"]
        text = description["Fn::Sub"] if isinstance(description, dict) else description
        assert len(text.split()) > 10, name


@pytest.mark.parametrize(
    ("name", "metric", "condition"),
    [
        ("NoWebhooksAlarm", "AcceptedWebhooks", {"Fn::Equals": [{"Ref": "WatchPush"}, "true"]}),
        ("NoTerraMessagesAlarm", "NumberOfMessagesSent", {"Condition": "HasTerraDestination"}),
    ],
)
def test_silence_is_an_alarm(template: dict, name: str, metric: str, condition: dict) -> None:
    watches = template["Conditions"][template["Resources"][name]["Condition"]]
    assert watches == {"Fn::And": [{"Condition": "HasQuietAlarm"}, condition]}
    alarm = template["Resources"][name]["Properties"]
    assert alarm["MetricName"] == metric
    queues = [name_of(dimension["Value"]) for dimension in alarm.get("Dimensions", [])]
    assert queues == (["TerraDestinationQueue"] if metric == "NumberOfMessagesSent" else [])
    assert alarm["TreatMissingData"] == "breaching"
    assert (alarm["ComparisonOperator"], alarm["Threshold"]) == ("LessThanThreshold", 1)
    assert (alarm["Statistic"], alarm["Period"]) == ("Sum", 60)
    assert alarm["EvaluationPeriods"] == {"Ref": "QuietAlarmMinutes"}


def test_pushed_webhooks_are_watched_unless_that_is_switched_off(template: dict) -> None:
    parameters = template["Parameters"]
    assert 0 < parameters["QuietAlarmMinutes"]["Default"] <= 60
    assert parameters["WatchPush"]["Default"] == "true"
    # And only where Terra's own queue is watched.
    rule = template["Rules"]["SomethingIsWatched"]
    assert rule["RuleCondition"] == {"Fn::Equals": [{"Ref": "WatchPush"}, "false"]}
    [assertion] = rule["Assertions"]
    assert assertion["Assert"] == {"Fn::Equals": [{"Ref": "TerraDestination"}, "true"]}


def test_one_webhook_that_always_fails_is_an_alarm(template: dict) -> None:
    alarm = template["Resources"]["IntakeErrorAlarm"]["Properties"]
    # Doubling from 30 s (FACTS section 7).
    tried_s = [30 * (2**tries - 1) for tries in range(10)]
    within = [at for at in tried_s if at <= alarm["Period"]]
    assert alarm["ComparisonOperator"] == "GreaterThanOrEqualToThreshold"
    assert (alarm["Statistic"], alarm["EvaluationPeriods"]) == ("Sum", 1)
    assert 1 < alarm["Threshold"] <= len(within)


def test_accepted_webhooks_are_counted_in_the_intakes_log(template: dict) -> None:
    counted = template["Resources"]["AcceptedWebhooks"]["Properties"]
    assert name_of(counted["LogGroupName"]) == "WebhookIntakeLogs"
    [message] = re.findall(r'^\{ \$\.message = "([^"]+)" \}$', counted["FilterPattern"])
    source = (cfn.FOLDER / "../../functions/webhook-intake/src/handler.rs").read_text()
    assert source.count(f'"{message}"') == 1
    [made] = counted["MetricTransformations"]
    alarm = template["Resources"]["NoWebhooksAlarm"]["Properties"]
    assert (alarm["Namespace"], alarm["MetricName"]) == (made["MetricNamespace"], made["MetricName"])


def test_what_the_gateway_refuses_is_counted_in_its_log(template: dict) -> None:
    name = "RefusedByGateway"
    counted = template["Resources"][name]["Properties"]
    stage = template["Resources"]["WebhookStage"]["Properties"]["AccessLogSettings"]
    assert name_of(counted["LogGroupName"]) == name_of(stage["DestinationArn"])
    # A text, which is why the pattern has quotes.
    assert json.loads(stage["Format"])["status"] == "$context.status"
    assert counted["FilterPattern"] == '{ $.status = "413" || $.status = "429" }'
    [made] = counted["MetricTransformations"]
    alarm = template["Resources"][f"{name}Alarm"]["Properties"]
    assert (alarm["Namespace"], alarm["MetricName"]) == (made["MetricNamespace"], made["MetricName"])
    assert (alarm["Threshold"], alarm["ComparisonOperator"]) == (1, "GreaterThanOrEqualToThreshold")
    assert alarm["Period"] <= 300


def test_metrics_of_our_own_have_the_stacks_name(template: dict) -> None:
    variables = template["Globals"]["Function"]["Environment"]["Variables"]
    assert variables == {"METRICS_NAMESPACE": OWN}
    for name, alarm in resources(template, "AWS::CloudWatch::Alarm").items():
        namespace = alarm["Properties"]["Namespace"]
        assert namespace == OWN or namespace.startswith("AWS/"), name
    body = template["Resources"]["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    shown = {
        metric[0]
        for widget in json.loads(body)["widgets"]
        for metric in widget["properties"]["metrics"]
    }
    assert OWN["Fn::Sub"] in shown
    others = shown - {OWN["Fn::Sub"], ".", "..."}
    assert all(namespace.startswith("AWS/") for namespace in others), others


def test_alarms_look_at_metrics_that_the_program_sends(template: dict) -> None:
    from_logs = {
        made["MetricName"]
        for body in resources(template, "AWS::Logs::MetricFilter").values()
        for made in body["Properties"]["MetricTransformations"]
    }
    seen = set()
    for name, alarm in resources(template, "AWS::CloudWatch::Alarm").items():
        properties = alarm["Properties"]
        if properties["Namespace"] != OWN or properties["MetricName"] in from_logs:
            continue
        dimensions = {each["Name"]: each["Value"] for each in properties["Dimensions"]}
        service, outcome = dimensions.pop("service"), dimensions.pop("outcome", None)
        assert not dimensions, name
        seen.add((service, outcome))
        folder = cfn.FOLDER / "../../functions" / service / "src"
        source = "".join(path.read_text() for path in folder.glob("*.rs"))
        assert re.search(rf'Metrics::new\([^;]*"{service}"', source), name
        assert f'metrics.count("{properties["MetricName"]}"' in source, name
        assert outcome is None or f'"{outcome}"' in source, name
    assert seen == {
        ("webhook-intake", "refused"),
        ("event-router", None),
        ("history-fetch", None),
        ("deliver", None),
    }


# Who writes the secrets of destinations does not read them.
KEEPS_SECRETS = {
    "secretsmanager:CreateSecret",
    "secretsmanager:DeleteSecret",
    "secretsmanager:PutSecretValue",
}


def test_no_policy_allows_more_than_it_can_name(template: dict) -> None:
    excused = set()
    for name, statement in cfn.statements(template):
        if statement["Effect"] != "Allow" or "AssumeRole" in str(statement["Action"]):
            continue
        key = (name, statement["Sid"])
        wide = [r for r in listed(statement["Resource"]) if r == "*"]
        wide += [a for a in listed(statement["Action"]) if "*" in a]
        if wide and key in UNNAMEABLE:
            excused.add(key)
            continue
        assert not wide, key
        for resource in listed(statement["Resource"]):
            if isinstance(resource, dict) and "Fn::Sub" in resource:
                if resource["Fn::Sub"] in ("${Table.Arn}/index/by_time", "${Table.Arn}/index/by_user"):
                    continue
                # A star may only stand for the keys below a prefix of the bucket, and for the names of
                # secrets below a prefix that is this stack's alone.
                if resource["Fn::Sub"] == DESTINATION_SECRETS:
                    actions = set(listed(statement["Action"]))
                    assert actions in ({"secretsmanager:GetSecretValue"}, KEEPS_SECRETS), key
                    continue
                assert re.fullmatch(r"\$\{ArchiveBucket\.Arn\}/(archive|erasures|exports|inbox|index|outbox)/\*", resource["Fn::Sub"]), key
    assert excused == set(UNNAMEABLE), "an excuse that nobody needs"


def test_every_function_has_a_role_and_a_log_of_its_own(
    template: dict, functions: dict[str, dict]
) -> None:
    roles = [name_of(function["Role"]) for function in functions.values()]
    assert len(set(roles)) == len(functions)
    for name, function in functions.items():
        log = template["Resources"][name_of(function["LoggingConfig"]["LogGroup"])]
        assert log["Properties"]["LogGroupName"] == {
            "Fn::Sub": "/aws/lambda/" + function["FunctionName"]["Fn::Sub"]
        }
        assert function["LoggingConfig"]["LogFormat"] == "JSON", name
        # A managed policy would be somebody else's list of permissions.
        role = template["Resources"][name_of(function["Role"])]["Properties"]
        assert "ManagedPolicyArns" not in role, name
    for name, log in resources(template, "AWS::Logs::LogGroup").items():
        assert log["Properties"]["RetentionInDays"] == {"Ref": "LogRetentionDays"}, name


# Calls of the functions' code, by role and resource. With fewer permissions a function would fail on AWS
# alone, because the emulator allows everything.
TAKE = ["sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"]  # Lambda, for a mapping
LOG = ["logs:CreateLogStream", "logs:PutLogEvents"]
TRACE = ["xray:PutTelemetryRecords", "xray:PutTraceSegments"]
TABLE = [
    "dynamodb:BatchGetItem",
    "dynamodb:DeleteItem",  # also in transactions
    "dynamodb:GetItem",
    "dynamodb:PutItem",  # also in transactions
    "dynamodb:Query",
]
# AWS adds a hyphen and six letters to a secret's name.
DESTINATION_SECRETS = (
    "arn:${AWS::Partition}:secretsmanager:${AWS::Region}:${AWS::AccountId}"
    ":secret:${AWS::StackName}/destinations/*"
)
VPC = [
    "ec2:AssignPrivateIpAddresses",
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:UnassignPrivateIpAddresses",
]
INBOX, ARCHIVE = "${ArchiveBucket.Arn}/inbox/*", "${ArchiveBucket.Arn}/archive/*"
OUTBOX = "${ArchiveBucket.Arn}/outbox/*"
EXPORTS = "${ArchiveBucket.Arn}/exports/*"
ERASURES = "${ArchiveBucket.Arn}/erasures/*"
ALLOWED = {
    "WebhookIntakeRole": {
        # The attribute is `open_connection`.
        "EventsQueue": ["sqs:GetQueueAttributes", "sqs:SendMessage"],
        "PingsQueue": ["sqs:GetQueueAttributes", "sqs:SendMessage"],
        INBOX: ["s3:PutObject"],
        "SigningSecrets": ["secretsmanager:GetSecretValue"],
        "WebhookIntakeLogs": LOG,
        "*": TRACE,
    },
    "EventRouterRole": {
        "EventsQueue": TAKE,
        "PingsQueue": TAKE,
        "BackfillEventsQueue": TAKE,
        "TerraDestinationQueue": TAKE,
        "Table": TABLE,
        ARCHIVE: ["s3:GetObject", "s3:PutObject"],
        INBOX: ["s3:DeleteObject", "s3:GetObject"],
        # The key of tombstones.
        ERASURES: ["s3:GetObject"],
        # No call: without it S3 answers 403 instead of 404.
        "ArchiveBucket": ["s3:ListBucket"],
        "HistoryQueue": ["sqs:GetQueueAttributes", "sqs:SendMessage"],
        "DeliveriesQueue": ["sqs:GetQueueAttributes", "sqs:SendMessage"],
        "EventRouterLogs": LOG,
        "*": TRACE,
    },
    "HistoryFetchRole": {
        "HistoryQueue": sorted([*TAKE, "sqs:SendMessage"]),
        "BackfillEventsQueue": ["sqs:SendMessage"],
        "Table": TABLE,
        "${Table.Arn}/index/by_time": ["dynamodb:Query"],
        INBOX: ["s3:PutObject"],
        "TerraApiKey": ["secretsmanager:GetSecretValue"],
        "HistoryFetchLogs": LOG,
        "*": TRACE,
    },
    "DeliverRole": {
        "DeliveriesQueue": sorted([*TAKE, "sqs:SendMessage"]),
        "Table": TABLE,
        "${Table.Arn}/index/by_time": ["dynamodb:Query"],
        # It changes nothing in the archive.
        ARCHIVE: ["s3:GetObject"],
        OUTBOX: ["s3:GetObject", "s3:PutObject"],
        "ArchiveBucket": ["s3:ListBucket"],  # as for the router
        DESTINATION_SECRETS: ["secretsmanager:GetSecretValue"],
        "DeliverLogs": LOG,
        "*": sorted([*VPC, *TRACE]),
    },
    "JobsRole": {
        "JobsQueue": sorted([*TAKE, "sqs:SendMessage"]),
        "Table": TABLE,
        "${Table.Arn}/index/by_time": ["dynamodb:Query"],
        ARCHIVE: ["s3:GetObject", "s3:PutObject"],
        EXPORTS: ["s3:AbortMultipartUpload", "s3:DeleteObject", "s3:GetObject", "s3:PutObject"],
        "${ArchiveBucket.Arn}/index/*": ["s3:AbortMultipartUpload", "s3:GetObject", "s3:PutObject"],
        ERASURES: ["s3:GetObject", "s3:PutObject"],
        INBOX: ["s3:DeleteObject", "s3:GetObject"],
        OUTBOX: ["s3:DeleteObject", "s3:GetObject"],
        "ArchiveBucket": ["s3:ListBucket"],
        "JobsLogs": LOG,
        "*": TRACE,
    },
    "ApiRole": {
        "Table": TABLE,
        "${Table.Arn}/index/by_time": ["dynamodb:Query"],
        "${Table.Arn}/index/by_user": ["dynamodb:Query"],
        ARCHIVE: ["s3:GetObject"],
        EXPORTS: ["s3:GetObject"],
        "ArchiveBucket": ["s3:ListBucket"],  # as for the router
        "JobsQueue": ["sqs:SendMessage"],
        "DeliveriesQueue": ["sqs:SendMessage"],
        # Written for deliver, and never read.
        DESTINATION_SECRETS: sorted(KEEPS_SECRETS),
        "ApiSigningKeys": ["secretsmanager:GetSecretValue"],
        # To verify archived webhooks.
        "SigningSecrets": ["secretsmanager:GetSecretValue"],
        "TerraApiKey": ["secretsmanager:GetSecretValue"],
        "ApiLogs": LOG,
        "*": TRACE,
    },
}


def test_the_dashboard_costs_nothing(template: dict) -> None:
    body = template["Resources"]["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    shown = [metric for widget in json.loads(body)["widgets"] for metric in widget["properties"]["metrics"]]
    assert len(shown) <= FREE_METRICS


ROOT = cfn.FOLDER / "../.."


def seconds(path: str, name: str) -> int:
    """A duration that stands in the program."""
    source = (ROOT / path).read_text()
    found = re.findall(rf"\bconst {name}: \w+ = \w+::from_(secs|mins)\((\d+)\);", source)
    [(unit, number)] = found
    return int(number) * {"secs": 1, "mins": 60}[unit]


def test_deadlines_fit_into_each_other(functions: dict[str, dict]) -> None:
    aws = "shared/runtime/src/aws/mod.rs"
    table = seconds(aws, "OPERATION_TIMEOUT")  # one call, with its retries
    assert seconds(aws, "CONNECT_TIMEOUT") < seconds(aws, "ATTEMPT_TIMEOUT") < table

    s3 = "shared/store/src/archive/s3.rs"
    request = seconds(s3, "REQUEST_TIMEOUT")
    assert 5 <= request <= 8
    # The last try begins before the one is over, and takes the other.
    read = seconds(s3, "RETRY_TIMEOUT") + request
    write = seconds("shared/store/src/archive/mod.rs", "WRITE_WITHIN")
    assert write >= 2 * request, "a put that hangs is tried again"

    # The router: of a ping the payload, of a large webhook its body in the inbox.
    router, source = functions["EventRouter"]["Timeout"], "functions/event-router/src"
    answer, store = seconds(f"{source}/handler.rs", "TO_ANSWER"), seconds(f"{source}/batch.rs", "TO_STORE")
    payload = seconds("shared/terra-client/src/payload/mod.rs", "TIMEOUT")
    assert store >= table + write + table  # the payload's connection, the segment, the ledger
    assert table + payload + store + answer <= router
    assert read + table + store + answer <= router

    # The intake answers by itself before anybody hangs up.
    durable = seconds("functions/webhook-intake/src/handler.rs", "DURABLE_WITHIN")
    assert durable < functions["WebhookIntake"]["Timeout"]

    # history-fetch: a window that was begun ends, and nobody else takes it meanwhile.
    fetch = "functions/history-fetch/src"
    call, last = seconds(f"{fetch}/config.rs", "CALL_TIMEOUT"), seconds(f"{fetch}/work.rs", "LAST_START")
    assert call + 3 * table <= last
    [lease_ms] = re.findall(r"const LEASE_MS: i64 = ([\d_]+);", (ROOT / fetch / "window.rs").read_text())
    assert last * 1000 < int(lease_ms)
    assert 60 + last < functions["HistoryFetch"]["Timeout"]

    # deliver: what is begun ends, and its result is noted, before Lambda ends the program.
    deliver = "functions/deliver/src"
    answer, to_call = seconds(f"{deliver}/handler.rs", "TO_ANSWER"), seconds(f"{deliver}/send.rs", "TO_CALL")
    longest = seconds("shared/destinations/src/kind.rs", "LONGEST_CALL")
    assert longest + answer <= to_call
    # The destination, its health, its tables, the states with their payloads, and one call.
    assert table + table + longest + table + read + to_call + answer <= functions["Deliver"]["Timeout"]


# What the default parameters leave out.
OFF_BY_DEFAULT = {
    "HasTerraDestination",
    "WatchesTerraDestination",
    "HasDomain",
    "HasAlarmEmail",
    "HasDeliverVpc",
}


def test_the_fixed_cost_is_summed_as_it_is(template: dict, queues: dict[str, dict]) -> None:
    made = [body["Type"] for body in template["Resources"].values() if body.get("Condition") not in OFF_BY_DEFAULT]
    _, text = (cfn.FOLDER / "COST.md").read_text().split("### Before the first webhook")
    rows = re.findall(r"^\| (\w[^|]*) \| (\d*) \| ([\d.]*) \| ([\d.]+) \|$", text, re.MULTILINE)
    table = {name: (number, each, month) for name, number, each, month in rows}
    for name, kind in [
        ("alarms", "AWS::CloudWatch::Alarm"),
        ("secrets", "AWS::SecretsManager::Secret"),
        ("keys", "AWS::KMS::Key"),
        ("dashboards of at most 50 metrics", "AWS::CloudWatch::Dashboard"),
    ]:
        assert int(table[name][0]) == made.count(kind), name
    asked = [
        is_fifo(queues[name_of(body["Properties"]["EventSourceArn"])])
        for body in resources(template, "AWS::Lambda::EventSourceMapping").values()
        if body.get("Condition") not in OFF_BY_DEFAULT
    ]
    assert int(table["queues that Lambda asks"][0]) == asked.count(False)
    assert int(table["FIFO queues that Lambda asks"][0]) == asked.count(True)
    _, _, whole = table.pop("all")
    months = []
    for name, (number, each, month) in table.items():
        assert round(int(number) * float(each), 2) == float(month), name
        months.append(float(month))
    assert round(sum(months), 2) == float(whole)


def test_a_stack_name_may_be_as_long_as_the_page_says(template: dict) -> None:
    limits = {"AWS::Serverless::Function": ("FunctionName", 64), "AWS::Scheduler::Schedule": ("Name", 64)}
    limits["AWS::SQS::Queue"] = ("QueueName", 80)
    left = []
    for body in template["Resources"].values():
        if body["Type"] in limits:
            field, limit = limits[body["Type"]]
            left.append(limit - len(body["Properties"][field]["Fn::Sub"].removeprefix("${AWS::StackName}")))
    [told] = re.findall(r"A stack name has at most\s+(\d+) characters", (cfn.FOLDER / "README.md").read_text())
    assert int(told) == min(left)


def test_the_program_knows_a_secret_that_nobody_has_put_in(template: dict) -> None:
    secret = template["Resources"]["TerraApiKey"]["Properties"]["GenerateSecretString"]
    source = (cfn.FOLDER / "../../functions/history-fetch/src/config.rs").read_text()
    [placeholder] = re.findall(r'^const PLACEHOLDER: &str = "(\w+)";$', source, re.MULTILINE)
    assert json.loads(secret["SecretStringTemplate"]) == {"dev_id": placeholder}


# Loops over several functions, each with the reason why a chain in it ends: Lambda counts those too.
LOOPS_THAT_END = {
    ("EventRouter", "HistoryFetch"): "the router's jobs plan or note; what they plan is asked by a schedule",
}


# Functions that feed their own queue, each with the file that says how long a chain may be.
BOUNDS_OF_CHAINS = {"HistoryFetch": "message.rs", "Deliver": "delivery/mod.rs", "Jobs": "message.rs"}


def feeds(template: dict, functions: dict[str, dict], mappings: dict[str, dict]) -> dict[str, set[str]]:
    """For each function the functions that work on a queue it may send to."""
    worked = {
        name_of(mapping["EventSourceArn"]): name_of(mapping["FunctionName"])
        for mapping in mappings.values()
    }
    found: dict[str, set[str]] = {name: set() for name in functions}
    of_role = {name_of(function["Role"]): name for name, function in functions.items()}
    for role, statement in cfn.statements(template):
        if role in of_role and "sqs:SendMessage" in listed(statement["Action"]):
            sent = {resource_of(resource) for resource in listed(statement["Resource"])}
            found[of_role[role]] |= {worked[queue] for queue in sent if queue in worked}
    return found


def test_a_function_that_feeds_its_own_queue_is_allowed_to_and_watched(
    template: dict, functions: dict[str, dict], mappings: dict[str, dict]
) -> None:
    fed = feeds(template, functions, mappings)
    loops = {name for name in functions if name in fed[name]}
    assert loops == set(BOUNDS_OF_CHAINS)
    # Lambda stops a chain after 16 invocations, and says so in a metric.
    allowed = {name for name, body in functions.items() if body.get("RecursiveLoop") == "Allow"}
    assert allowed == loops
    dropped = alarms_on(template, "RecursiveInvocationsDropped")
    assert set(dropped) == loops
    for name, alarm in dropped.items():
        assert (alarm["Namespace"], alarm["Statistic"], alarm["Threshold"]) == ("AWS/Lambda", "Sum", 0), name
    # In Lambda's place, the program has a bound of its own.
    for name, file in BOUNDS_OF_CHAINS.items():
        source = (ROOT / "shared/domain/src" / file).read_text()
        assert re.search(r"pub const MAX_STEPS: u32 = [\d_]+;", source), name
        handler = (ROOT / "functions" / Path(functions[name]["CodeUri"]).name / "src/handler.rs").read_text()
        assert ".step() > MAX_STEPS" in handler, name


def test_loops_over_several_functions_are_known_to_end(
    template: dict, functions: dict[str, dict], mappings: dict[str, dict]
) -> None:
    fed = feeds(template, functions, mappings)

    def reached(start: str) -> set[str]:
        found: set[str] = set()
        todo = [start]
        while todo:
            for name in fed[todo.pop()] - found:
                found.add(name)
                todo.append(name)
        return found

    reach = {name: reached(name) for name in functions}
    loops = {
        tuple(sorted((one, other)))
        for one in functions
        for other in reach[one]
        if one != other and one in reach[other]
    }
    assert loops == set(LOOPS_THAT_END)


def resource_of(value: object) -> str:
    """What stands in a policy: a resource, a part of one, or all."""
    if isinstance(value, str):
        return value
    if "Fn::If" in value:
        _, there, otherwise = value["Fn::If"]
        assert otherwise == {"Ref": "AWS::NoValue"}
        return resource_of(there)
    return value["Fn::Sub"] if "Fn::Sub" in value else name_of(value)


@pytest.mark.parametrize("role", ALLOWED)
def test_a_function_may_do_what_its_code_calls_and_no_more(template: dict, role: str) -> None:
    allowed: dict[str, list[str]] = {}
    for name, statement in cfn.statements(template):
        if name != role or "Resource" not in statement:
            continue
        if statement["Effect"] == "Deny":
            continue  # it takes away and gives nothing
        assert statement["Effect"] == "Allow", statement["Sid"]
        # A condition may only take away: writes to items whose keys it names.
        condition = statement.get("Condition", {}).get("ForAllValues:StringLike", {})
        assert "Condition" not in statement or set(condition) == {"dynamodb:LeadingKeys"}, statement["Sid"]
        for resource in listed(statement["Resource"]):
            allowed.setdefault(resource_of(resource), []).extend(listed(statement["Action"]))
    assert {resource: sorted(actions) for resource, actions in allowed.items()} == ALLOWED[role]


def test_the_api_may_write_the_items_that_a_walk_over_it_writes_and_no_other(template: dict) -> None:
    [condition] = [
        statement["Condition"]["ForAllValues:StringLike"]
        for name, statement in cfn.statements(template)
        if name == "ApiRole" and "Condition" in statement
    ]
    # tests/it/api_writes.rs holds the same list to the items that calls of every route write.
    written = json.loads((Path(__file__).parent / "partitions_of_api.json").read_text())
    assert condition == {"dynamodb:LeadingKeys": written}


def test_the_roles_of_the_table_above_are_all(functions: dict[str, dict]) -> None:
    assert {name_of(function["Role"]) for function in functions.values()} == set(ALLOWED)


def test_the_store_calls_nothing_else_of_dynamodb() -> None:
    folder = cfn.FOLDER / "../../shared/store/src/table"
    # schema.rs makes the table where no template does.
    sources = [path.read_text() for path in folder.rglob("*.rs") if path.name != "schema.rs"]
    called = {name for source in sources for name in re.findall(r"\.(\w+_items?|query|scan)\(\)", source)}
    # A transaction asks for the permissions of its parts.
    parts = re.findall(r"TransactWriteItem::builder\(\)\s*\.(\w+)\(", "".join(sources))
    called = called - {"transact_write_items"} | {f"{part}_item" for part in parts}
    permissions = [action.removeprefix("dynamodb:") for action in TABLE]
    assert called == {re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower() for name in permissions}


def test_every_job_of_a_schedule_is_one_that_the_program_knows(schedules: dict[str, dict]) -> None:
    jobs = {}
    for name, schedule in schedules.items():
        target = schedule["Target"]
        file = "delivery/mod.rs" if name == "DeliverSchedule" else "message.rs"
        source = (ROOT / "shared/domain/src" / file).read_text()
        job = json.loads(target["Input"])["job"]
        variant = "".join(word.capitalize() for word in job.split("_"))
        assert re.search(rf"^    {variant},$", source, re.MULTILINE), job
        jobs[name] = (job, name_of(target["Arn"]))
    assert jobs == {
        "WorkSchedule": ("work", "HistoryFetch"),
        # What is hours apart must not get lost while the function is throttled.
        "ReconcileSchedule": ("reconcile", "HistoryQueue"),
        "FindGapsSchedule": ("find_gaps", "HistoryQueue"),
        # Its function takes batches alone.
        "DeliverSchedule": ("work", "DeliveriesQueue"),
        "JobsSchedule": ("work", "JobsQueue"),
    }


def test_each_look_for_deliveries_is_a_message_of_its_own(
    schedules: dict[str, dict], queues: dict[str, dict]
) -> None:
    for name, schedule in schedules.items():
        target = schedule["Target"]
        more = {key: value for key, value in json.loads(target["Input"]).items() if key != "job"}
        queue = queues.get(name_of(target["Arn"]), {})
        if not is_fifo(queue):
            assert (more, "SqsParameters" in target) == ({}, False), name
            continue
        # The queue tells messages apart by their text, for five minutes, and the scheduler gives only
        # that: the execution is a part of it.
        assert queue["ContentBasedDeduplication"] is True
        assert more == {"run": "<aws.scheduler.execution-id>"}
        group = target["SqsParameters"]["MessageGroupId"]
        source = (ROOT / "shared/domain/src/delivery/mod.rs").read_text()
        assert f'Self::Work => "{group}".to_owned()' in source


def test_quiet_connections_are_counted_once_in_each_period(
    template: dict, schedules: dict[str, dict]
) -> None:
    alarm = template["Resources"]["QuietConnectionsAlarm"]["Properties"]
    hours = alarm["Period"] // 3600
    assert schedules["FindGapsSchedule"]["ScheduleExpression"] == f"rate({hours} hours)"


def test_schedules_start_or_fill_what_they_are_for_and_keep_what_could_not_start(
    template: dict, schedules: dict[str, dict], dead_letters: dict[str, str]
) -> None:
    roles: dict[str, dict[str, set[str]]] = {}
    for schedule, body in schedules.items():
        role = roles.setdefault(name_of(body["Target"]["RoleArn"]), {})
        target = name_of(body["Target"]["Arn"])
        action = "sqs:SendMessage" if target.endswith("Queue") else "lambda:InvokeFunction"
        role.setdefault(action, set()).add(target)
        role.setdefault("sqs:SendMessage", set()).add(dead_letters[schedule])
    assert set(roles) == {"HistoryScheduleRole", "DeliverScheduleRole", "JobsScheduleRole"}
    for role, needed in roles.items():
        allowed: dict[str, set[str]] = {}
        for name, statement in cfn.statements(template):
            if name == role and "Sid" in statement:
                sent = {name_of(resource) for resource in listed(statement["Resource"])}
                allowed.setdefault(statement["Action"], set()).update(sent)
        assert allowed == needed, role


def test_deliver_reads_the_secrets_that_operators_write_and_no_other(
    template: dict, functions: dict[str, dict]
) -> None:
    prefix = {"Fn::Sub": "${AWS::StackName}/destinations/"}
    variables = functions["Deliver"]["Environment"]["Variables"]
    # The same beginning in four places: the functions', the operator's, the policies'.
    assert variables["DESTINATION_SECRETS_PREFIX"] == prefix
    assert functions["Api"]["Environment"]["Variables"]["DESTINATION_SECRETS_PREFIX"] == prefix
    assert template["Outputs"]["DestinationSecretsPrefix"]["Value"] == prefix
    assert DESTINATION_SECRETS.endswith(f":secret:{prefix['Fn::Sub']}*")
    operator = (ROOT / "infra/local/src/commands/access.rs").read_text()
    assert '"DESTINATION_SECRETS_PREFIX"' in operator
    users = [
        (name, action)
        for name, statement in cfn.statements(template)
        if DESTINATION_SECRETS in [resource_of(each) for each in listed(statement.get("Resource", []))]
        for action in listed(statement["Action"])
    ]
    assert [user for user in users if user[1].endswith(":GetSecretValue")] == [
        ("DeliverRole", "secretsmanager:GetSecretValue")
    ]
    assert {name for name, _ in users} == {"DeliverRole", "ApiRole"}


def test_deliver_changes_no_object_of_the_archive(template: dict) -> None:
    of_objects = [
        (action, resource_of(resource))
        for name, statement in cfn.statements(template)
        if name == "DeliverRole" and "Resource" in statement
        for action in listed(statement["Action"])
        for resource in listed(statement["Resource"])
        if action.startswith("s3:")
    ]
    assert sorted(of_objects) == [
        ("s3:GetObject", ARCHIVE),
        # A link gives no more than its signer may.
        ("s3:GetObject", OUTBOX),
        ("s3:ListBucket", "ArchiveBucket"),
        ("s3:PutObject", OUTBOX),
    ]


def test_the_router_tells_deliver(functions: dict[str, dict]) -> None:
    for name in ("EventRouter", "Deliver"):
        variables = functions[name]["Environment"]["Variables"]
        assert variables["DELIVERIES_QUEUE_URL"] == {"Ref": "DeliveriesQueue"}, name


def test_deliver_is_wholly_in_a_vpc_or_not_at_all(template: dict, functions: dict[str, dict]) -> None:
    names = ["DeliverVpc", "DeliverSubnets"]
    for name in names:
        assert template["Parameters"][name]["Default"] == "", name
    subnets = re.compile(template["Parameters"]["DeliverSubnets"]["AllowedPattern"])
    assert subnets.search("") and subnets.search("subnet-0a1b") and subnets.search("subnet-0a,subnet-1b")
    for text in ("subnet-0a,", "subnet-0a subnet-1b", "vpc-0a"):
        assert not subnets.search(text), text

    empty = [{"Fn::Equals": [{"Ref": name}, ""]} for name in names]
    given = [{"Fn::Not": [each]} for each in empty]
    assert template["Conditions"]["HasDeliverVpc"] == {"Fn::And": given}
    [assertion] = template["Rules"]["SubnetsAreOfAVpc"]["Assertions"]
    assert assertion["Assert"] == {"Fn::Or": [{"Fn::And": empty}, {"Fn::Not": [{"Fn::Or": empty}]}]}

    # Private addresses are reached from inside a VPC alone: elsewhere they are Lambda's own.
    deliver = functions["Deliver"]
    private = deliver["Environment"]["Variables"]["ALLOW_PRIVATE_DESTINATIONS"]
    assert private == {"Fn::If": ["HasDeliverVpc", "true", "false"]}
    condition, inside, outside = deliver["VpcConfig"]["Fn::If"]
    assert (condition, outside) == ("HasDeliverVpc", {"Ref": "AWS::NoValue"})
    assert inside["SubnetIds"] == {"Fn::Split": [",", {"Ref": "DeliverSubnets"}]}
    [group] = inside["SecurityGroupIds"]
    body = template["Resources"][name_of(group)]
    assert body["Condition"] == "HasDeliverVpc"
    assert "SecurityGroupIngress" not in body["Properties"]


def test_the_interfaces_of_a_vpc_are_lambdas_and_not_the_programs(template: dict) -> None:
    [policy] = template["Resources"]["DeliverRole"]["Properties"]["Policies"]
    conditional = [
        each["Fn::If"] for each in policy["PolicyDocument"]["Statement"] if "Fn::If" in each
    ]
    for condition, _, otherwise in conditional:
        assert (condition, otherwise) == ("HasDeliverVpc", {"Ref": "AWS::NoValue"})
    allow, deny = [statement for _, statement, _ in conditional]
    assert (allow["Effect"], sorted(allow["Action"])) == ("Allow", VPC)
    assert (deny["Effect"], deny["Action"], deny["Resource"]) == ("Deny", "ec2:*", "*")
    [(key, function)] = deny["Condition"]["ArnEquals"].items()
    assert key == "lambda:SourceFunctionArn"
    named = template["Resources"]["Deliver"]["Properties"]["FunctionName"]["Fn::Sub"]
    assert function["Fn::Sub"].endswith(f":function:{named}")


def test_terra_may_send_to_one_queue_and_nothing_else(template: dict) -> None:
    user = template["Resources"]["TerraSender"]["Properties"]
    [policy] = user["Policies"]
    [statement] = policy["PolicyDocument"]["Statement"]
    assert statement["Action"] == "sqs:SendMessage"
    assert name_of(statement["Resource"]) == "TerraDestinationQueue"
    assert not resources(template, "AWS::IAM::AccessKey")


def test_the_intake_answers_before_terra_hangs_up(
    template: dict, functions: dict[str, dict]
) -> None:
    terra_waits_s = 8
    assert functions["WebhookIntake"]["Timeout"] <= terra_waits_s
    integration = template["Resources"]["WebhookIntegration"]["Properties"]
    assert integration["TimeoutInMillis"] <= terra_waits_s * 1000
    assert integration["PayloadFormatVersion"] == "2.0"


def test_how_far_back_is_said_only_where_there_is_a_bound(
    template: dict, functions: dict[str, dict]
) -> None:
    parameters = template["Parameters"]
    variables = functions["HistoryFetch"]["Environment"]["Variables"]
    assert variables["FETCH_VIA"] == {"Ref": "FetchVia"}
    assert variables["PROVIDER_CALLS_PER_HOUR"] == {"Ref": "ProviderCallsPerHour"}
    assert json.loads(parameters["ProviderCallsPerHour"]["Default"]) == {}
    source = (cfn.FOLDER / "../../functions/history-fetch/src/fetch.rs").read_text()
    known = re.findall(r'^ +"(\w+)" => Ok\(Self::', source, re.MULTILINE)
    assert parameters["FetchVia"]["AllowedValues"] == known
    assert parameters["FetchVia"]["Default"] == known[0]
    # The program would take a 0 at its word.
    assert parameters["HistoryMaxDays"]["Default"] == 0
    bound = ["HasHistoryBound", {"Ref": "HistoryMaxDays"}, {"Ref": "AWS::NoValue"}]
    assert variables["HISTORY_MAX_DAYS"] == {"Fn::If": bound}


def test_the_gateway_lets_through_what_its_parameter_says(template: dict) -> None:
    throttling = template["Resources"]["WebhookStage"]["Properties"]["DefaultRouteSettings"]
    assert throttling == {
        "ThrottlingRateLimit": {"Ref": "WebhooksPerSecond"},
        "ThrottlingBurstLimit": {"Ref": "WebhooksPerSecond"},
    }


# What spares cost and proves nothing, so that no secret is needed for it.
PATH_TOKEN = "WebhookPathToken"


def test_no_secret_is_in_the_clear(template: dict, functions: dict[str, dict]) -> None:
    for name, function in functions.items():
        for variable, value in function["Environment"]["Variables"].items():
            if value == {"Fn::If": ["HasPathToken", {"Ref": PATH_TOKEN}, {"Ref": "AWS::NoValue"}]}:
                continue
            assert not re.search(r"SECRET(?!S_ARN|S_PREFIX)|KEY(?!S_ARN|_OPENS_API)|TOKEN|PASSWORD", variable), (name, variable)
    # A switch, and no key.
    for name in template["Parameters"].keys() - {PATH_TOKEN, "TerraKeyOpensApi"}:
        assert not re.search("secret|key|token|password", name, re.IGNORECASE), name
    for name, secret in resources(template, "AWS::SecretsManager::Secret").items():
        assert "SecretString" not in secret["Properties"], name


def test_a_token_in_the_path_is_the_only_way_in(template: dict, functions: dict[str, dict]) -> None:
    token = {"Ref": PATH_TOKEN}
    parameter = template["Parameters"][PATH_TOKEN]
    assert (parameter["NoEcho"], parameter["Default"]) == (True, "")
    allowed = re.compile(parameter["AllowedPattern"])
    assert allowed.search("") and allowed.search("aZ09_-" * 4)
    for text in ("a" * 21, "a" * 129, "a" * 21 + "/", "a" * 30 + " ", "{proxy+}" * 4):
        assert not allowed.search(text), text
    # 128 bits and more.
    assert 64**22 >= 2**128 > 64**21
    assert template["Conditions"]["HasPathToken"] == {"Fn::Not": [{"Fn::Equals": [token, ""]}]}

    # One route: with a token there is none without it.
    routes = resources(template, "AWS::ApiGatewayV2::Route").values()
    [route] = [it for it in routes if it["Properties"]["ApiId"] == {"Ref": "WebhookApi"}]
    path = "POST /webhooks/terra"
    with_token = {"Fn::Sub": f"{path}/${{{PATH_TOKEN}}}"}
    assert route["Properties"]["RouteKey"] == {"Fn::If": ["HasPathToken", with_token, path]}
    arn = template["Resources"]["WebhookApiMayInvoke"]["Properties"]["SourceArn"]["Fn::If"]
    ends = [each["Fn::Sub"].rsplit("/POST/", 1)[1] for each in arn[1:]]
    assert (arn[0], ends) == ("HasPathToken", ["webhooks/terra/*", "webhooks/terra"])

    # The function asks for the same, and never for an empty one.
    passed = {"Fn::If": ["HasPathToken", token, {"Ref": "AWS::NoValue"}]}
    assert functions["WebhookIntake"]["Environment"]["Variables"]["WEBHOOK_PATH_TOKEN"] == passed
    # What everybody may read who may see the stack does not have it.
    assert PATH_TOKEN not in re.findall(r"'Ref': '(\w+)'|\$\{(\w+)\}", str(template["Outputs"]))
    assert json.dumps(template).count(f'"Ref": "{PATH_TOKEN}"') == 2  # the variable, and the condition


def test_the_default_address_is_closed_only_where_there_is_another(template: dict) -> None:
    parameter = template["Parameters"]["CloseDefaultAddress"]
    assert (parameter["Default"], parameter["AllowedValues"]) == ("false", ["true", "false"])
    closes = {"Fn::Equals": [{"Ref": "CloseDefaultAddress"}, "true"]}
    assert template["Conditions"]["ClosesDefaultAddress"] == closes
    api = template["Resources"]["WebhookApi"]["Properties"]
    closed = ["ClosesDefaultAddress", True, {"Ref": "AWS::NoValue"}]
    assert api["DisableExecuteApiEndpoint"] == {"Fn::If": closed}
    rule = template["Rules"]["SomeAddressIsOpen"]
    assert rule["RuleCondition"] == closes
    [assertion] = rule["Assertions"]
    assert assertion["Assert"] == {"Fn::Not": [{"Fn::Equals": [{"Ref": "DomainName"}, ""]}]}


def prices_of_webhooks() -> dict[str, float]:
    """List prices by which the first table of the page is reckoned."""
    source = (cfn.FOLDER / "../bench/src/lambda/cost.rs").read_text()
    found = re.findall(r"const (\w+): f64 = ([\d._]+);", source)
    return {name: float(price.replace("_", "")) for name, price in found}


def test_what_deliveries_cost_is_what_their_parts_cost(functions: dict[str, dict]) -> None:
    text = (cfn.FOLDER / "COST.md").read_text()
    [text] = re.findall("## Deliveries\n(.*?)\n#", text, re.DOTALL)
    rows = re.findall(r"^\| (\w[^|]+?) \| ([\d.]*) ?\| ([\d.]*) ?\| ([\d.]+) \|$", text, re.MULTILINE)
    whole = 0.0
    for name, number, each, sum_ in rows:
        if name.startswith("all"):
            assert round(whole, 2) == float(sum_), name
        else:
            assert round(float(number) * float(each), 2) == float(sum_), name
            whole += float(sum_)
    assert [name for name, *_ in rows if name.startswith("all")] == [
        "all, to a database or bucket",
        "all, to a webhook or queue",
    ]
    prices = prices_of_webhooks()
    table = {name: (float(number), float(each)) for name, number, each, _ in rows if number}
    # 200 ms for ten deliveries.
    assert table["Lambda GB-s"][0] == 0.2 * functions["Deliver"]["MemorySize"] / 1024 / FIFO_BATCH
    assert table["Lambda requests"][0] == 1 / FIFO_BATCH
    # Sent one by one, received and deleted together.
    assert table["SQS FIFO requests"][0] == 1 + 2 / FIFO_BATCH
    for name, price in [
        ("Lambda requests", "LAMBDA_REQUESTS"),
        ("Lambda GB-s", "LAMBDA_GB_SECONDS"),
        ("DynamoDB read units", "READ_UNITS"),
        ("the attempt, DynamoDB write units", "WRITE_UNITS"),
        ("log bytes", "LOG_BYTES"),
    ]:
        assert table[name][1] == prices[price], name


def test_what_a_flood_costs_is_what_its_parts_cost(template: dict) -> None:
    text = (cfn.FOLDER / "COST.md").read_text()
    [text] = re.findall("### Requests that Terra did not sign\n(.*?)\n#", text, re.DOTALL)
    rows = re.findall(r"^\| ([^|]+?) \| ([\d.,]*) \| ([\d.]*) \| ([\d.]+) \|$", text, re.MULTILINE)
    table = {name: (number.replace(",", ""), each, sum_) for name, number, each, sum_ in rows}
    _, _, whole = table.pop("all")
    assert round(sum(float(sum_) for _, _, sum_ in table.values()), 2) == float(whole)
    prices = prices_of_webhooks()
    memory = template["Resources"]["WebhookIntake"]["Properties"]["MemorySize"]
    line = template["Resources"]["WebhookStage"]["Properties"]["AccessLogSettings"]["Format"]
    for name, number, price in [
        ("gateway requests", 1, prices["GATEWAY"]),
        ("Lambda requests", 1, prices["LAMBDA_REQUESTS"]),
        ("Lambda GB-s", 0.003 * memory / 1024, prices["LAMBDA_GB_SECONDS"]),
        ("bytes of the gateway's log", 100, prices["LOG_BYTES"]),
        ("traces", 0.05, 5.0),
    ]:
        told, each, sum_ = table[name]
        assert (float(told), float(each)) == (number, price), name
        assert round(number * price, 2) == float(sum_), name
    literal = re.sub(r"\$context\.[A-Za-z.]+", "", line)
    assert len(literal) < 100 < len(literal) + 60

    # What the page says of a day at the gateway's limit.
    a_day = template["Parameters"]["WebhooksPerSecond"]["Default"] * 86_400 / 1e6 * float(whole)
    page = (cfn.FOLDER / "README.md").read_text()
    [million, day] = re.findall(r"\$([\d.]+) per million such requests, \$(\d+) a day", page)[0]
    assert (float(million), int(day)) == (float(whole), round(a_day))


def test_access_logs_say_nothing_about_a_person(template: dict) -> None:
    stage = template["Resources"]["WebhookStage"]["Properties"]
    known = {
        "requestId",
        "status",
        "responseLatency",
        "integrationStatus",
        "error.responseType",
    }
    logged = re.findall(r"\$context\.([A-Za-z.]+)", stage["AccessLogSettings"]["Format"])
    assert set(logged) == known


def test_terra_itself_is_asked_by_default(template: dict) -> None:
    source = (cfn.FOLDER / "../../shared/terra-client/src/api/settings.rs").read_text()
    [known] = re.findall(r'pub const API: Self = Self\(Cow::Borrowed\("([^"]+)"\)\);', source)
    assert template["Parameters"]["TerraApiUrl"]["Default"] == known


# The policy with its bucket: what stays must not become readable without TLS.
# Without its signing secrets no archived webhook could be verified.
@pytest.mark.parametrize("name", ["Table", "ArchiveBucket", "ArchiveBucketPolicy", "SigningSecrets"])
def test_data_outlive_the_stack(template: dict, name: str) -> None:
    resource = template["Resources"][name]
    assert resource["DeletionPolicy"] == resource["UpdateReplacePolicy"] == "Retain"


def test_the_archive_is_reached_through_tls_alone(template: dict) -> None:
    policy = template["Resources"]["ArchiveBucketPolicy"]["Properties"]
    assert name_of(policy["Bucket"]) == "ArchiveBucket"
    [statement] = policy["PolicyDocument"]["Statement"]
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert (statement["Effect"], statement["Principal"]) == ("Deny", "*")
    assert statement["Action"] == "s3:*"
    whole, objects = statement["Resource"]
    assert (name_of(whole), objects) == ("ArchiveBucket", {"Fn::Sub": "${ArchiveBucket.Arn}/*"})


def test_the_archive_is_read_at_once_for_ever(template: dict) -> None:
    lifecycle = template["Resources"]["ArchiveBucket"]["Properties"]["LifecycleConfiguration"]
    moved = [
        transition["StorageClass"]
        for rule in lifecycle["Rules"]
        for transition in rule.get("Transitions", [])
    ]
    # Of the cold classes the one that has no restore: reading a record and erasing a person must not
    # wait for hours.
    assert moved == ["GLACIER_IR"]
    # Other words for the same thing.
    for rule in lifecycle["Rules"]:
        others = {"Transition", "NoncurrentVersionTransition", "NoncurrentVersionTransitions"}
        assert not others & set(rule), rule["Id"]
    assert "IntelligentTieringConfigurations" not in template["Resources"]["ArchiveBucket"]["Properties"]


def test_the_table_is_what_the_store_makes(template: dict) -> None:
    table = template["Resources"]["Table"]["Properties"]
    source = cfn.FOLDER / "../../shared/store/src/table"
    constants = dict(
        re.findall(
            r'const (\w+): &str = "([^"]+)";',
            "".join((source / f"{file}.rs").read_text() for file in ("key/mod", "ledger")),
        )
    )
    schema = (source / "schema.rs").read_text()

    def projected(name: str) -> list[str]:
        found = re.search(rf"const {name}: .*?= \[(.*?)\];", schema, re.DOTALL)
        assert found, name
        return re.findall(r'"(\w+)"', found[1])

    def keys(*names: str) -> list[str]:
        return [constants[name] for name in names]

    def names(elements: list[dict]) -> list[str]:
        assert [element["KeyType"] for element in elements] == ["HASH", "RANGE"]
        return [element["AttributeName"] for element in elements]

    assert names(table["KeySchema"]) == keys("PK", "SK")
    by_time, by_user = table["GlobalSecondaryIndexes"]
    assert by_time["IndexName"] == constants["BY_TIME"]
    assert names(by_time["KeySchema"]) == keys("TIME_PK", "TIME_SK")
    assert by_time["Projection"]["NonKeyAttributes"] == projected("PROJECTED")
    assert by_user["IndexName"] == constants["BY_USER"]
    assert names(by_user["KeySchema"]) == keys("USER", "RECEIVED_AT")
    assert by_user["Projection"]["NonKeyAttributes"] == projected("PROJECTED_BY_USER")
    assert {index["Projection"]["ProjectionType"] for index in (by_time, by_user)} == {"INCLUDE"}
    types = {each["AttributeName"]: each["AttributeType"] for each in table["AttributeDefinitions"]}
    assert types.pop(constants["RECEIVED_AT"]) == "N"
    assert types == {name: "S" for name in keys("PK", "SK", "TIME_PK", "TIME_SK", "USER")}
    assert table["TimeToLiveSpecification"] == {
        "AttributeName": constants["EXPIRES_AT"],
        "Enabled": True,
    }
    assert table["BillingMode"] == "PAY_PER_REQUEST"


def test_the_key_of_the_alarms_costs_no_rotation(template: dict) -> None:
    keys = resources(template, "AWS::KMS::Key")
    assert set(keys) == {"AlarmKey"}, "does the new one protect data at rest?"
    assert "EnableKeyRotation" not in keys["AlarmKey"]["Properties"]


def test_the_table_is_protected(template: dict) -> None:
    table = template["Resources"]["Table"]["Properties"]
    assert table["DeletionProtectionEnabled"] is True
    # DynamoDB encrypts with its own key, for nothing. The managed key would cost a call for each read.
    assert "SSESpecification" not in table
    recovery = table["PointInTimeRecoverySpecification"]
    assert recovery["PointInTimeRecoveryEnabled"] is True
    # An erased person is gone from the backups within the month that the GDPR allows.
    assert recovery["RecoveryPeriodInDays"] <= 28


def test_what_is_erased_from_the_archive_is_soon_gone(template: dict) -> None:
    rules = template["Resources"]["ArchiveBucket"]["Properties"]["LifecycleConfiguration"]["Rules"]
    noncurrent = {
        rule["Prefix"]: rule["NoncurrentVersionExpiration"]["NoncurrentDays"]
        for rule in rules
        if "NoncurrentVersionExpiration" in rule
    }
    assert set(noncurrent) == {"archive/", "exports/", "inbox/", "index/", "outbox/"}
    assert max(noncurrent.values()) <= 7
    expires = {rule["Prefix"]: rule["ExpirationInDays"] for rule in rules if "ExpirationInDays" in rule}
    # A dead letter, once redriven, lives for two retentions.
    assert expires.pop("inbox/") > 2 * FOURTEEN_DAYS_S / 86400
    # A link leads to a body for an hour, and what Terra sent is kept for ever.
    assert expires == {"exports/": 7, "outbox/": 1}
    assert all(rule["Status"] == "Enabled" for rule in rules)


def test_the_list_of_terras_addresses_is_only_addresses() -> None:
    waf = cfn.load(cfn.WAF)
    addresses = waf["Parameters"]["TerraAddresses"]["Default"].strip().split(",")
    assert len(addresses) == 9
    assert all(re.fullmatch(r"\d+\.\d+\.\d+\.\d+/32", address) for address in addresses)
