namespace KvMesh.Cluster.Placement.Rules;

/// <summary>One reason to move blocks.</summary>
internal interface IPlacementRule
{
    /// <summary>Whether its orders keep a promise: then they may make any number of other blocks leave.</summary>
    bool IsPromised { get; }

    /// <summary>Orders worth their cost, in any order. The draft holds what earlier rules have decided.</summary>
    IReadOnlyList<(PrefixState State, PlacementOrder Order)> Propose(PlanDraft draft);
}
