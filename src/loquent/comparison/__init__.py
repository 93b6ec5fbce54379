"""The papers' systems on one clip, trained and measured alike, beside the published figures."""
