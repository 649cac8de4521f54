namespace KvMesh.Engine.Retention;

/// <summary>A block that keeps the links of its chain itself: a parent knows its children while they are here. One owner, under its lock.</summary>
/// <typeparam name="T">The block itself.</typeparam>
public abstract class LinkedBlock<T> : Retained<T>
    where T : LinkedBlock<T>
{
    private readonly T? _parent;
    private T? _firstChild;
    private T? _nextSibling;
    private T? _previousSibling;

    protected LinkedBlock(T? parent)
    {
        _parent = parent;
        Join();
    }

    /// <summary>The block before it. A parent never leaves before its child, so it is here as long as this one is.</summary>
    public override T? Parent => _parent;

    public bool HasChildren => _firstChild is not null;

    protected internal override T? FirstChild => _firstChild;

    protected internal override T? NextSibling => _nextSibling;

    /// <summary>It is here, or here again: the newest of its parent's children.</summary>
    public void Join()
    {
        _nextSibling = _parent?._firstChild;
        _nextSibling?._previousSibling = (T)this;
        _parent?._firstChild = (T)this;
    }

    /// <summary>It leaves: its parent forgets it. Nothing happens if it has left.</summary>
    public void Leave()
    {
        _nextSibling?._previousSibling = _previousSibling;
        if (_previousSibling is not null)
        {
            _previousSibling._nextSibling = _nextSibling;
        }
        else if (ReferenceEquals(_parent?._firstChild, this))
        {
            _parent!._firstChild = _nextSibling;
        }

        _nextSibling = _previousSibling = null;
    }
}
