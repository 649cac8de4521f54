using System.Buffers.Text;
using System.Text;

namespace KvMesh.Cluster.Removals;

/// <summary>What a purge takes away: every block of a tenant, or of one model, or of one revision. Null stands for all.</summary>
public readonly record struct PurgeScope(string Tenant, string? Model, string? Revision)
{
    private const string Any = "*";

    /// <summary>The scope as one word without spaces, for stores and files.</summary>
    public string ToText() => $"{Encode(Tenant)}.{Encode(Model)}.{Encode(Revision)}";

    /// <summary>False when the text is no scope: another program wrote it.</summary>
    public static bool TryParse(string? text, out PurgeScope scope)
    {
        scope = default;
        var parts = (text ?? "").Split('.');
        if (parts.Length != 3 || parts[0] == Any || !TryDecode(parts[0], out var tenant) || !TryDecode(parts[1], out var model) || !TryDecode(parts[2], out var revision))
        {
            return false;
        }

        scope = new PurgeScope(tenant!, model, revision);
        return true;
    }

    /// <summary>For logs and operators.</summary>
    public override string ToString() => (Model, Revision) switch
    {
        (null, null) => $"tenant {Tenant}",
        (_, null) => $"model {Model} of tenant {Tenant}",
        _ => $"revision {Revision} of model {Model ?? Any} of tenant {Tenant}",
    };

    private static string Encode(string? text) => text is null ? Any : Base64Url.EncodeToString(Encoding.UTF8.GetBytes(text));

    private static bool TryDecode(string part, out string? text)
    {
        text = null;
        if (part == Any)
        {
            return true;
        }

        if (!Base64Url.IsValid(part))
        {
            return false;
        }

        text = Encoding.UTF8.GetString(Base64Url.DecodeFromChars(part));
        return true;
    }
}
