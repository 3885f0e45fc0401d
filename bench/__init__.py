"""What raylift costs beside what a user would run otherwise; both sides in one go."""
