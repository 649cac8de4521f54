using System.Diagnostics;
using KvMesh.Protocol.Keys;

namespace KvMesh.Gateway.Native;

/// <summary>Names of the model and revision of the scope that was used last: a connection writes one scope for long stretches.</summary>
internal sealed class ScopeNames
{
    private byte[] _scope = [];

    public string Model { get; private set; } = "";

    public string Revision { get; private set; } = "";

    /// <summary>Makes the names those of <paramref name="scope"/>, which is well formed.</summary>
    public void Use(ReadOnlySpan<byte> scope)
    {
        if (scope.SequenceEqual(_scope))
        {
            return;
        }

        var isScope = BlockScope.TryParse(scope, out var model, out var revision);
        Debug.Assert(isScope, "the keys of a request are checked before they are used");
        Model = model;
        Revision = revision;
        _scope = scope.ToArray();
    }
}
