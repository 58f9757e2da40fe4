"""An AWS account, or a workspace on this machine that stands for one."""
