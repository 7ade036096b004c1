"""ReferFormer and MUTR."""
