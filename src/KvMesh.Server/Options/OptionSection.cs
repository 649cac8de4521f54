namespace KvMesh.Server.Options;

/// <summary>A value as it was written, and by whom.</summary>
internal sealed record OptionText(string Value, string Source);

/// <summary>Options as a tree of names, before any of them has a type.</summary>
internal sealed class OptionSection
{
    /// <summary>Between the names of a path.</summary>
    public const char Separator = ':';

    private readonly SortedDictionary<string, OptionSection> _children = new(StringComparer.OrdinalIgnoreCase);

    public OptionText? Text { get; private set; }

    public IReadOnlyDictionary<string, OptionSection> Children => _children;

    /// <summary>Sets the value at a path. A later source wins over an earlier one.</summary>
    public void Set(string path, string value, string source)
    {
        var section = this;
        foreach (var name in path.Split(Separator))
        {
            if (!section._children.TryGetValue(name, out var child))
            {
                section._children.Add(name, child = new OptionSection());
            }

            section = child;
        }

        section.Text = new OptionText(value, source);
    }

    /// <summary>The value at a path, or null.</summary>
    public string? Find(string path)
    {
        var section = this;
        foreach (var name in path.Split(Separator))
        {
            if (!section._children.TryGetValue(name, out section))
            {
                return null;
            }
        }

        return section.Text?.Value;
    }
}
