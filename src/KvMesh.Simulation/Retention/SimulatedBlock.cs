using KvMesh.Engine.Retention;

namespace KvMesh.Simulation.Retention;

/// <summary>A block of a <see cref="Traces.ChainedTrace"/> in one simulated cache, from when it comes in until it leaves.</summary>
public sealed class SimulatedBlock : Retained<SimulatedBlock>
{
    private readonly SimulatedBlock? _parent;
    private SimulatedBlock? _firstChild;
    private SimulatedBlock? _nextSibling;
    private SimulatedBlock? _previousSibling;

    internal SimulatedBlock(int number, SimulatedBlock? parent)
    {
        Number = number;
        _parent = parent;
        if (parent is not null)
        {
            _nextSibling = parent._firstChild;
            if (_nextSibling is not null)
            {
                _nextSibling._previousSibling = this;
            }

            parent._firstChild = this;
        }
    }

    /// <summary>Number of the block in its trace.</summary>
    public int Number { get; }

    /// <summary>The number mixed by the finaliser of SplitMix64: different for different numbers, and evenly spread.</summary>
    public override ulong Fingerprint
    {
        get
        {
            var mixed = ((ulong)Number + 1) * 0x9E3779B97F4A7C15;
            mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9;
            mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EB;
            return mixed ^ (mixed >> 31);
        }
    }

    /// <summary>The block before it. A parent never leaves before its child, so it is here as long as this one is.</summary>
    public override SimulatedBlock? Parent => _parent;

    internal bool HasChildren => _firstChild is not null;

    protected override IEnumerable<SimulatedBlock> ChildBlocks
    {
        get
        {
            for (var child = _firstChild; child is not null; child = child._nextSibling)
            {
                yield return child;
            }
        }
    }

    /// <summary>The block leaves: its parent forgets it.</summary>
    internal void Leave()
    {
        if (_nextSibling is not null)
        {
            _nextSibling._previousSibling = _previousSibling;
        }

        if (_previousSibling is not null)
        {
            _previousSibling._nextSibling = _nextSibling;
        }
        else if (_parent is not null)
        {
            _parent._firstChild = _nextSibling;
        }
    }
}
