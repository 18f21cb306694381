"""Says where a stack is and how it stands: its account, region and status, on one line.

NONE is the status of a stack that is not there. Run with the Python of the environment `sam`, whose AWS client asks.
"""

import argparse
import sys

import boto3
import botocore.exceptions


def status(session, stack):
    try:
        stacks = session.client("cloudformation").describe_stacks(StackName=stack)["Stacks"]
    except botocore.exceptions.ClientError as error:
        # CloudFormation has no code of its own for it.
        if "does not exist" in error.response["Error"]["Message"]:
            return "NONE"
        raise
    return stacks[0]["StackStatus"]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("stack")
    parser.add_argument("--region", default="")
    parser.add_argument("--profile", default="")
    arguments = parser.parse_args()
    try:
        session = boto3.Session(
            region_name=arguments.region or None, profile_name=arguments.profile or None
        )
        if not session.region_name:
            print("No region is known: set AWS_REGION, or AWS_PROFILE to a profile that has one.", file=sys.stderr)
            return 1
        account = session.client("sts").get_caller_identity()["Account"]
        print(account, session.region_name, status(session, arguments.stack))
    except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError) as error:
        print(f"AWS cannot be asked about {arguments.stack}: {error}", file=sys.stderr)
        print("Set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
