using System.Collections.Immutable;

namespace KvMesh.Engine.Retention;

/// <summary>What a <see cref="HazardPolicy{T}"/> has learned until now: for each class of blocks the chance of a use by age.</summary>
/// <param name="HorizonSeconds">How far ahead a use counts now.</param>
/// <param name="OneIn">One in so many blocks was followed.</param>
/// <param name="FollowsLru">Whether LRU's order counts now, because its shadow did better.</param>
/// <param name="Classes">Classes that were seen, by turn, uses and gap.</param>
public sealed record LearnedReuse(double HorizonSeconds, long OneIn, bool FollowsLru, ImmutableArray<LearnedClass> Classes);

/// <summary>Blocks that the policy takes for equal but for their age. Counts fade: what was seen long ago counts half, a quarter, ….</summary>
/// <param name="Turn">In which turn of their chain they came: 0 is the first. The last one of them and all behind it are one.</param>
/// <param name="Uses">How often they were used since; the most that is told apart and more are one.</param>
/// <param name="GapFromSeconds">The last two uses of the block, or of the one that it follows, were so far apart at least; null when there were no two.</param>
/// <param name="GapToSeconds">And less than so far; null when there were no two, or without limit.</param>
/// <param name="Touches">Times that a block came to be of this class, by a use or as a new one, and was then used again or became older than the first age.</param>
/// <param name="Reuses">Of these, times that it was used again, at any age.</param>
/// <param name="Ages">By age, the youngest first.</param>
public sealed record LearnedClass(
    int Turn, int Uses, double? GapFromSeconds, double? GapToSeconds, double Touches, double Reuses, ImmutableArray<LearnedAge> Ages);

/// <summary>One age of a class: time since the last use.</summary>
/// <param name="UntilSeconds">Where the age ends and the next begins; null: it has no end.</param>
/// <param name="Touches">Blocks that reached the age, and were used in it or outlived it.</param>
/// <param name="Reuses">Of these, those that were used in it.</param>
/// <param name="Chance">What the policy takes for the chance that one that reached the age is used in it: of these counts, the neighbouring ages and coarser classes.</param>
/// <param name="ChanceWithinHorizon">What blocks leave by: the chance that one that reached the age is used within the horizon. The least likely leave first.</param>
public readonly record struct LearnedAge(double? UntilSeconds, double Touches, double Reuses, double Chance, double ChanceWithinHorizon);
