using Microsoft.AspNetCore.Http;

namespace KvMesh.Dashboard.Sequences;

/// <summary>Addresses of the pages of sequences, and the fields in them.</summary>
internal static class SequenceLinks
{
    /// <summary>Longer than any name of a tenant or of a sequence.</summary>
    private const int MaxFieldCharacters = 512;

    public static string List(string? tenant, string? after = null) =>
        DashboardExtensions.BasePath + "/sequences" + QueryString.Create(Fields(("tenant", tenant), ("after", after)));

    public static string One(string tenant, string name, int first = 0) =>
        DashboardExtensions.BasePath + "/sequence" + QueryString.Create(Fields(("tenant", tenant), ("name", name), ("first", first == 0 ? null : $"{first}")));

    /// <summary>A field of a request; null where it is absent, empty, or longer than anything that it can name.</summary>
    public static string? Field(IQueryCollection query, string name) =>
        query[name].ToString() is { Length: > 0 and <= MaxFieldCharacters } value ? value : null;

    /// <summary>The fields of a request that the page knows.</summary>
    public static IEnumerable<KeyValuePair<string, string>> Known(IQueryCollection query, params string[] names) =>
        names.Select(name => KeyValuePair.Create(name, Field(query, name)!)).Where(field => field.Value is not null);

    private static IEnumerable<KeyValuePair<string, string?>> Fields(params (string Name, string? Value)[] fields) =>
        fields.Where(field => field.Value is not null).Select(field => KeyValuePair.Create(field.Name, field.Value));
}
